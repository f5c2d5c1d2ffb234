"""Imports into a stack: what can be imported, what the template says of it, and the import."""
