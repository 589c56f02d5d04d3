"""regstudy: comparative studies of regularization in neural networks.

The packages are in the order in which a run flows from YAML to figure:

`cli` takes the command line, `config` makes checked runs of it, `sweep` trains those that are missing, of `data`,
`models`, `optimizers` and `regularizers`; `training` trains one run, `measures` says what of it is measured, `records`
writes its folder, and `analysis` makes tables and figures of many.
"""

__version__ = "0.1.0"
