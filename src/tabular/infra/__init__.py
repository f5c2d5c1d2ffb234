"""What the running service stands on, one module each, chosen by URL."""
