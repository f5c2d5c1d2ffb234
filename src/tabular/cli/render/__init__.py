"""Drawing plans, events and states on a terminal; every other consumer takes `--json`."""
