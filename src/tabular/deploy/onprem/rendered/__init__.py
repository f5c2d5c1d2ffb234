"""The chart with values put in: objects, and what a stack must know of each."""
