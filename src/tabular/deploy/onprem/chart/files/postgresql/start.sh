#!/bin/bash
# Starts this member as what it has to be. Whom a replica follows is written in its own data and
# changed by the failover alone: a replica that chose again at each start could acknowledge a commit
# of the old primary after it was counted for the new one.

. "$(dirname "$0")/common.sh"

slot=${me//-/_}
slot=${slot//./_}

# Where the platform gives the process an id that the image does not know (OpenShift), initdb and
# psql still need a name for it.
name_myself() {
  getent passwd "$(id -u)" >/dev/null && return
  local library
  for library in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so; do
    [ -e "$library" ] || continue
    echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$run/passwd"
    echo "postgres:x:$(id -g):" >"$run/group"
    export LD_PRELOAD=$library NSS_WRAPPER_PASSWD=$run/passwd NSS_WRAPPER_GROUP=$run/group
    return
  done
}

# The new database is made beside its place and moved there when it is whole.
create() {
  say "makes a new database"
  local new="$PGDATA.new" user=$TABULAR_USER database=$TABULAR_DATABASE
  rm -rf "$new"
  initdb -D "$new" -U postgres --auth-local=trust --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C --data-checksums >/dev/null
  pg_ctl -D "$new" -w -s -l "$run/create.log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$run" start
  psql -h "$run" -U postgres -d postgres -Xq -v ON_ERROR_STOP=1 \
    -v user="$user" -v database="$database" <<SQL
\\set password \`cat "$secrets/database-password"\`
\\set replication \`cat "$secrets/database-replication-password"\`
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user";
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replication';
GRANT pg_monitor, pg_checkpoint TO replicator;
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean),
  pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean),
  pg_promote(boolean, integer), pg_reload_conf() TO replicator;
GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO replicator;
SELECT current_setting('server_version_num')::int >= 160000 AS reserves \\gset
\\if :reserves
GRANT pg_use_reserved_connections TO replicator;
\\endif
SQL
  pg_ctl -D "$new" -w -s -m fast stop
  mv "$new" "$PGDATA"
}

# follow FOLDER: the data there replicate from the leader when they are started.
follow() {
  local settings="$1/postgresql.auto.conf"
  rm -rf "$1"/pg_replslot/*
  sed -i '/^primary_/d' "$settings"
  {
    echo "primary_conninfo = 'host=$leader_host port=$leader_port application_name=$me'"
    echo "primary_slot_name = '$slot'"
  } >>"$settings"
  touch "$1/standby.signal"
}

# The leader keeps for this member what it has not yet got; a slot that was given up is made anew.
reserve() {
  ask "$leader_host" "$leader_port" "SELECT pg_drop_replication_slot(slot_name)
    FROM pg_replication_slots WHERE slot_name = '$slot' AND wal_status = 'lost'" >/dev/null
  ask "$leader_host" "$leader_port" "SELECT pg_create_physical_replication_slot('$slot', true)
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '$slot')" >/dev/null
}

# require_database SYSTEM WHOSE: the leader has this database. Nothing is ever copied over the data of
# another one, such as that of a member that began anew by itself.
require_database() {
  local theirs
  theirs=$(ask "$leader_host" "$leader_port" 'SELECT system_identifier FROM pg_control_system()')
  [ "$1" = "$theirs" ] && return
  say "$leader_host has another database than $2 ($theirs, not $1): nothing is overwritten;" \
    "find out which one is right, and empty the volume of the other"
  exit 1
}

# Where a second copy has no room, the old data go first. The mark of what is unfinished stands, so
# whoever starts after that copies again, and makes no new database.
make_room() {
  [ -d "$PGDATA" ] || return 0
  local needed free
  needed=$(ask "$leader_host" "$leader_port" \
    'SELECT (sum(pg_database_size(oid)) / 1024)::bigint FROM pg_database')
  free=$(df -Pk "$PGDATA" | awk 'NR == 2 { print $4 }')
  # A tenth more, and what is written meanwhile.
  if [ "$free" -lt $((needed + needed / 10 + 262144)) ]; then
    say "has no room for a second copy: its old data go first"
    rm -rf "$PGDATA"
  fi
}

clone() {
  say "copies the database from $leader_host"
  rm -rf "$PGDATA.new"
  make_room
  reserve
  pg_basebackup -h "$leader_host" -p "$leader_port" -U replicator -D "$PGDATA.new" \
    -X stream -S "$slot" --checkpoint=fast
  follow "$PGDATA.new"
  rm -rf "$PGDATA"
  mv "$PGDATA.new" "$PGDATA"
}

# The timeline that the data are of. One that only heard of a later timeline has its history, and may
# be past where that began.
data_timeline() {
  LC_ALL=C pg_controldata "$PGDATA" | awk -F: '
    /^Latest checkpoint.s TimeLineID|^Min recovery ending loc.s timeline/ {
      if ($2 + 0 > latest) latest = $2 + 0
    }
    END { printf "%08X", latest }'
}

# Whether the data can follow as they are, or are wound back to where they can: what was not
# acknowledged goes; what was, the leader has. On the leader's own timeline there is nothing to wind
# back: who does not receive there though it was told whom to follow lacks what nobody has kept.
reconcile() {
  if [[ $leader_timeline = $(own_timeline) ]] && [ -e "$followed" ]; then
    return 1
  elif [[ $leader_timeline != $(data_timeline) ]]; then
    pg_rewind -D "$PGDATA" \
      --source-server="host=$leader_host port=$leader_port user=replicator dbname=postgres" >&2
  fi
}

# Data that are half wound back are good for nothing, so a mark stands as long as they may be.
rejoin() {
  say "becomes a replica of $leader_host"
  local own
  own=$(LC_ALL=C pg_controldata "$PGDATA" | sed -n 's/^Database system identifier: *//p')
  require_database "$own" "this volume"
  echo "$leader_timeline $own" >"$unfinished"
  if reconcile; then
    reserve
    follow "$PGDATA"
    touch "$followed"
  else
    say "its data are no start"
    clone
  fi
  rm -f "$unfinished" "$made_anew"
}

# Whoever stopped in the middle of that copies the database.
finish() {
  local since system
  read -r since system <"$unfinished"
  until find_leader && [[ ! $leader_timeline < $since ]]; do sleep 2; done
  require_database "$system" "this volume"
  clone
  rm -f "$unfinished" "$made_anew"
}

require_version() {
  local program data
  program=$(postgres -V | grep -oE '[0-9]+' | head -1)
  data=$(cat "$PGDATA/PG_VERSION")
  [ "$program" != "$data" ] || return 0
  say "the data are of PostgreSQL $data and the image is $program: go back to an image of $data;" \
    "to change, restore a backup into a new deployment"
  exit 1
}

# Whether the data go past where the latest timeline began that they have heard of: on it PostgreSQL
# does not start with them, but on theirs. It looks at the same:
# https://www.postgresql.org/docs/18/app-pgcontroldata.html
astray() {
  local newest
  newest=$(find "$PGDATA/pg_wal" -name '????????.history' | sort | tail -1)
  [ -n "$newest" ] || return 1
  LC_ALL=C awk -v newest="$((16#$(basename "$newest" .history)))" '
    function whole(lsn, half) {
      split(lsn, half, "/")
      return sprintf("%8s%8s", half[1], half[2])
    }
    FNR == NR { if ($1 ~ /^[0-9]+$/) end[$1 + 0] = whole($2); next }
    /^Latest checkpoint location/ { begun = whole($NF) }
    /^Latest checkpoint.s TimeLineID/ { of = $NF + 0 }
    /^Minimum recovery ending location/ { reached = whole($NF) }
    /^Min recovery ending loc.s timeline/ { branch = $NF + 0 }
    END {
      if (of < newest && !(of in end && begun < end[of])) exit 0
      exit !(branch && branch < newest && !(branch in end && reached <= end[branch]))
    }' "$newest" <(LC_ALL=C pg_controldata "$PGDATA")
}

resume() {
  if ! find_leader; then
    return 0
  elif [ -e "$PGDATA/standby.signal" ]; then
    [ -e "$made_anew" ] || astray || return 0
    sealed || [[ $leader_timeline < $(own_timeline) ]] || rejoin
  elif [[ $leader_timeline > $(own_timeline) ]]; then
    rejoin
  fi
}

# Only the first member makes a new database, and only where no other has one and none is on record:
# its own volume may have been lost, and the others be away.
begin() {
  local first others patience=${TABULAR_PEER_WAIT:-60} known='' said='' why
  first=$(awk 'NR == 1 { print $1 }' "$config/members")
  others=$(awk 'END { print NR - 1 }' "$config/members")
  [ "$others" -gt 0 ] || patience=0
  until find_leader; do
    if [ "$me" = "$first" ] && [ "$SECONDS" -ge "$patience" ]; then
      known=$(cat "$record/system" 2>/dev/null) || known=''
      if [ "$standing" -gt 0 ]; then
        why="this volume is empty and others have the database: waits until one is promoted"
      elif [ -n "$known" ]; then
        why="this volume is empty and this deployment has a database ($known): waits for a member \
that has it. If the volumes of all members are lost for good: kubectl delete configmap,lease \
${me%-*}-failover lets it begin anew; then restore a backup"
      else
        create
        return
      fi
      [ "$why" = "$said" ] || say "$why"
      said=$why
    fi
    sleep 1
  done
  known=$(cat "$record/system" 2>/dev/null) || known=''
  [ -z "$known" ] || require_database "$known" "this deployment has had"
  clone
}

# Sets lowest to what this replica needs beyond its settings: it starts with no less than its primary
# had, and is started before that where settings are lowered.
find_lowest() {
  local name theirs own
  lowest=()
  while read -r name theirs; do
    own=$(postgres -D "$PGDATA" -c config_file="$config/postgresql.conf" -C "$name")
    [ "$own" -ge "$theirs" ] || lowest+=(-c "$name=$theirs")
  done < <(LC_ALL=C pg_controldata "$PGDATA" |
    sed -nE 's/_xact(s?) setting:/_transaction\1 setting:/; s/^(max_[a-z_]+) setting: +/\1 /p')
}

touch "$run/preparing"
rm -f "$run/deaf"
name_myself
write_pgpass
# A kubelet may give the volume's group more than PostgreSQL puts up with.
[ ! -d "$PGDATA" ] || chmod 0700 "$PGDATA"
export PGPASSFILE=$run/pgpass
[ ! -s "$PGDATA/PG_VERSION" ] || require_version
if [ -e "$unfinished" ]; then
  finish
elif [ -s "$PGDATA/PG_VERSION" ]; then
  resume
else
  begin
fi
# Who is astray and may not be laid anew yet is there to be asked, and to be told whom to follow.
branch=latest lowest=()
if [ -e "$PGDATA/standby.signal" ]; then
  ! astray || branch=current
  find_lowest
fi
rm -f "$run/preparing"
# The receiver of a replica reads the rest of its connection from these.
export PGUSER=replicator
exec postgres -D "$PGDATA" -p "$(port_of "$me")" -c config_file="$config/postgresql.conf" \
  -c hba_file="$config/pg_hba.conf" -c unix_socket_directories="$run" -c cluster_name="$me" \
  -c recovery_target_timeline=$branch "${lowest[@]}"
