"""One spec, any place to run it: compile, plan, apply."""
