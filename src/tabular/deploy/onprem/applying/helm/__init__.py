"""Helm as a way to bring objects, in this process or as a program of the user's."""
