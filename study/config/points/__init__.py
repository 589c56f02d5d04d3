"""Expand the command line into the points of a sweep, and compose the config of each point."""
