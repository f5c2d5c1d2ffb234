"""The way to a cluster, and how what is in it says whose it is."""
