"""Quality, privacy and speed of the synthesizers on real tables."""
