"""From YAML and the command line to checked runs: `points` expands a sweep, `resolve` checks and identifies a run."""
