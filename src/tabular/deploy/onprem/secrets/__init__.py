"""What only the cluster may hold: given and generated secrets, and certificates."""
