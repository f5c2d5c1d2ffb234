"""The science: knows tables, knows nothing of clouds, HTTP or databases."""
