"""What is measured of a run: scores, statistics of the weights, sparsity, invariants; `catalog` has names and units."""
