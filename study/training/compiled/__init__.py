"""The training loop of ReLU MLPs in Numba; `mlp` is its door, and says what it can train."""
