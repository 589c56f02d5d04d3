"""The compiled training loop of ReLU MLPs (Numba). `mlp` is its entry point, and tells which models it can train."""
