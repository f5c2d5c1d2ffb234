"""What the service costs beside the bare parts under it."""
