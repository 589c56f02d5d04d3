"""Gaps, seed-paired differences, tests and intervals, as numbers."""
