"""What the cluster's operators are told, and what stands in for them where there are none."""
