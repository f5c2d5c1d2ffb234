"""Generations by AWS Batch: its queue, and the bucket that orders and results are in."""
