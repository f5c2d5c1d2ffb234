#!/bin/bash
# Readiness: a primary that takes connections, or a replica that gets what is written.

. "$(dirname "$0")/common.sh"

[ ! -e "$run/preparing" ]
case "$(here 'SELECT pg_is_in_recovery()')" in
  f) ;;
  t) [ -n "$(here "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")" ] ;;
  *) exit 1 ;;
esac
