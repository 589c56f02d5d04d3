"""regstudy: comparative studies of regularization in neural networks.

How a run flows: `__main__` → `sweep` (YAML to configs, with `config` and `identity`) → `workers` → `run`
(`data`, `models`, `training`, `scoring`, `recording`) → CSVs → `analysis` (tables and figures).
"""

__version__ = "0.1.0"
