"""What is told before anything is made: whether a region sells it, an account has room for it."""
