"""What is, beside what would be: the plan's differences, and drift."""
