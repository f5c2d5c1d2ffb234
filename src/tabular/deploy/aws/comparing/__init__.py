"""What is, beside what would be: the changes of a plan, and drift."""
