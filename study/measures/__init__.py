"""Measures of a run: scores, statistics of the weights, sparsity, invariants. `catalog` lists their names and units."""
