"""The API that a deployment runs."""
