"""Failover of the chart's own PostgreSQL, for clusters without an operator for it.

Kubernetes starts a primary again that died, but not one whose node or disk is gone. Two pods run
this program; the one that holds the Lease watches the members and promotes one when the primary
is away. What must never happen is that a commit which a client was told of is gone, or that two
primaries tell of commits. Neither rests on fencing, on clocks or on the Lease, but on counting:

- The first three members are voters. PostgreSQL itself tells a client of a commit only when one
  other voter has it on its disk too (``synchronous_standby_names = ANY 1``): it is on two of three.
- Before one is promoted, two voters are *sealed*: they stop receiving, which is written on their
  disks (``primary_conninfo = ''``) and outlives their restarts. What two voters have between them
  holds every commit that was told, and the old primary finds nobody any more who would let it
  tell another: on the wrong side of a torn network its clients' commits wait, and are not told.
- The sealed one with the latest timeline, and on it the furthest position, is promoted. Then the
  others follow it, and the Service selects it.
- A promotion may take its time: who was promised a timeline replays first all that it has. No other
  gets that timeline, and a sealed one stays sealed though it sees a primary, till the watcher lets
  it follow the next.
- Which member leads, and by which timeline, is recorded in the Lease before it is promoted. A
  member that leads by an earlier timeline is not followed; its own liveness finds out, and its
  start makes it a replica (``pg_rewind``, or a new copy).
- Which database that is, is recorded as well, also in a ConfigMap that the members mount. A volume
  that was lost is no reason to begin anew, and who has another database neither leads nor votes.

Replicas never choose whom to follow: only the watcher writes that, and the start of a member
whose data are laid anew. Members beyond three are copies that do not count.

A client that cancels a statement while its commit waits is told of it all the same (PostgreSQL
warns), so that commit is not covered. While two of three voters are away there is no primary, and
nothing is promoted: a choice between waiting and losing is left to people. A disk that is lost in
the very seconds in which the network is torn is a second fault, and is not covered.
"""
