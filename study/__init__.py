"""regstudy: comparative studies of regularization in neural networks.

The packages, in the order in which a run passes through them from YAML to figure:

`cli` reads the command line. `config` turns it into checked runs. `sweep` trains the runs that are missing, with the
options in `data`, `models`, `optimizers` and `regularizers`. `training` trains one run, `measures` computes its scores
and statistics, `records` writes its folder, and `analysis` makes tables and figures from many runs.
"""

__version__ = "0.1.0"
