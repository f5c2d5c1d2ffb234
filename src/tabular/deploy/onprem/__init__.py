"""Kubernetes of one's own: the portable spec as values of one chart, applied by Helm or without."""
