"""What the rows of jobs and of their parts may say."""

from __future__ import annotations

QUEUED, RUNNING = "queued", "running"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ENDED = (SUCCEEDED, FAILED, CANCELLED)
FIT, GENERATE, EVALUATE = "fit", "generate", "evaluate"
