"""A small client of the registry HTTP API: pulling by digest, pushing in pieces, going on."""
