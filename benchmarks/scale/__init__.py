"""How generation grows with processes."""
