"""Looks at what runs: whether it is well, what it says, what AWS calls it."""
