"""Benchmarks: each a command that prints its own figure and how to repeat it."""
