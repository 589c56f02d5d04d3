"""Gaps, seed-paired differences, tests and intervals; numbers only."""
