"""The platform under load and faults, for minutes: `make soak`."""
