#!/bin/bash
# Liveness: fails where a restart helps. Silence of others is never a reason.

. "$(dirname "$0")/common.sh"

write_pgpass
[ ! -e "$run/preparing" ] || exit 0
answer=0
pg_isready -q -U replicator -d postgres -h "$run" -p "$(port_of "$me")" -t 3 || answer=$?
[ "$answer" -ne 1 ] || exit 0 # it recovers
[ "$answer" -eq 0 ]

# A certificate that was renewed is another link of the kubelet's.
if [ -e /run/tls/..data ] && [ "$(readlink /run/tls/..data)" != "$(cat "$run/tls" 2>/dev/null)" ]; then
  here 'SELECT pg_reload_conf()' >/dev/null && readlink /run/tls/..data >"$run/tls"
fi

if [ "$(here 'SELECT pg_is_in_recovery()')" = f ]; then
  # Another member was promoted: the start makes this one its replica.
  if find_leader && [[ $leader_timeline > $(here "SELECT $timeline") ]]; then
    say "$leader_host is the primary now"
    exit 1
  fi
  exit 0
fi

# A replica that gets nothing from a primary that is there lacks what nobody has kept for it, or
# has what the primary has not: it is laid anew. It may have what a primary of an earlier timeline
# has not, and must have. (The receiver of one that went on past where the primary began waits, and
# tries again for ever.)
if [ -n "$(here "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")" ]; then
  rm -f "$run/deaf" "$followed"
elif sealed; then
  rm -f "$run/deaf" "$made_anew"
elif ! find_leader || [[ $leader_timeline < $(own_timeline) ]]; then
  rm -f "$run/deaf"
elif [ ! -e "$run/deaf" ]; then
  touch "$run/deaf"
elif [ $(($(date +%s) - $(stat -c %Y "$run/deaf"))) -gt "${TABULAR_DEAF_SECONDS:-120}" ]; then
  say "gets nothing from $leader_host: is laid anew"
  touch "$made_anew"
  exit 1
fi
