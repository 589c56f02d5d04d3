"""Sweeps: `command` plans and records all runs, and trains the missing ones side by side; `tuned` has two phases."""
