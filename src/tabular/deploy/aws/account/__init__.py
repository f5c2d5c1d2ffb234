"""The account: the way to it, and what it keeps of a deployment beside what runs."""
