"""Measurements that are repeated, dated and kept in RESULTS.md."""
