#!/bin/sh
# Runs the tests of one tier: scripts/test.sh MARKERS [PROCESSES]
# Hundreds of real processes share the machine's cores with whatever else it does, so in CI what
# failed is run once more, alone. Both runs are shown; what fails twice has failed.
set -u
# Some machines say that no bytecode be kept: then thousands of processes compile the same modules.
unset PYTHONDONTWRITEBYTECODE
run="$(dirname "$0")/../.venv/bin/python -m pytest"
# One more than cores: a third of the time is spent waiting for servers and processes.
$run -n "${2:-$(($(nproc) + 1))}" --dist worksteal -m "$1" && exit 0
status=$?
[ "${CI:-}" = true ] && [ "$status" = 1 ] || exit "$status"
echo "=== once more, alone: what failed ==="
$run --last-failed --last-failed-no-failures none -m "$1"
