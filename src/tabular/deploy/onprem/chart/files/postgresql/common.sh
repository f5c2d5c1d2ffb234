# What the scripts of a PostgreSQL member share; sourced by them.
#
# A member is a line of the file `members`: NAME HOST PORT. The first three are the voters of a
# cluster that fails over by itself; see tabular.deploy.onprem.failover for why that loses nothing.

set -euo pipefail

config=${TABULAR_CONFIG:-/etc/tabular}
secrets=${TABULAR_SECRETS:-/run/secrets/tabular}
run=${TABULAR_RUN:-/run/postgresql}
record=${TABULAR_RECORD:-/etc/tabular-record} # of the failover: which database this deployment has
me=${TABULAR_MEMBER:-$HOSTNAME}
export PGDATA=${PGDATA:-/var/lib/postgresql/tabular}
export PGCONNECT_TIMEOUT=3
made_anew="$PGDATA.made-anew"   # asks start.sh to lay a replica anew
followed="$PGDATA.followed"     # it was told to follow once more, and has not received since
unfinished="$PGDATA.unfinished" # TIMELINE SYSTEM: its data are being wound back, or copied anew

say() { echo "tabular: $*" >&2; }

port_of() { awk -v me="$1" '$1 == me { print $3 }' "$config/members"; }

# The password by which members know each other, which may be another now.
write_pgpass() {
  (umask 077 && printf '*:*:*:replicator:%s\n' "$(cat "$secrets/database-replication-password")" \
    >"$run/pgpass.new")
  mv "$run/pgpass.new" "$run/pgpass"
}

# ask HOST PORT SQL: of another member, as the role that replicates. The time to find an address is
# no part of PGCONNECT_TIMEOUT, and a name server that is away must not make a probe fail.
ask() {
  PGPASSFILE="$run/pgpass" timeout 4 psql -h "$1" -p "$2" -U replicator -d postgres -XAtqc "$3" 2>/dev/null
}

# here SQL: of this member, over its own socket.
here() { psql -h "$run" -p "$(port_of "$me")" -U postgres -d postgres -XAtqc "$1" 2>/dev/null; }

# The latest timeline of which this member has a segment or has heard.
own_timeline() {
  ls "$PGDATA/pg_wal" | grep -E '^[0-9A-F]{8}([0-9A-F]{16}|\.history)$' | cut -c1-8 | sort | tail -1
}

# Whether this replica follows nobody because the failover counted what it has: what it confirms to
# a primary after that is lost with it. Only the watcher lets it receive again.
sealed() {
  [ -d "$record" ] && grep -qx "primary_conninfo = ''" "$PGDATA/postgresql.auto.conf"
}

timeline="substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"

# answers: a line HOST PORT ANSWER for each other member that has a server: `replica`, the timeline of
# one that takes writes, or `silent`, which starts, recovers or has no connection left. All are asked
# at once, or a few that are away would take longer than a probe may.
answers() {
  local name host port
  while read -r name host port; do
    [ "$name" = "$me" ] || answer_of "$host" "$port" </dev/null &
  done <"$config/members"
  wait
}

answer_of() {
  local answer code=0
  answer=$(ask "$1" "$2" "SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE $timeline END") || {
    timeout 4 pg_isready -q -U replicator -d postgres -h "$1" -p "$2" -t 3 || code=$?
    [ "$code" -le 1 ] || return 0
    answer=silent
  }
  echo "$1 $2 $answer"
}

# Sets leader_host, leader_port and leader_timeline to the other member that takes writes (the one
# of the latest timeline, should there be two), and standing to how many others have a database but
# do not lead.
find_leader() {
  leader_host='' leader_port='' leader_timeline='' standing=0
  local host port answer
  while read -r host port answer; do
    case "$answer" in
      replica | silent) standing=$((standing + 1)) ;;
      *)
        if [[ -z $leader_timeline || $answer > $leader_timeline ]]; then
          leader_host=$host leader_port=$port leader_timeline=$answer
        fi
        ;;
    esac
  done < <(answers)
  [ -n "$leader_host" ]
}
