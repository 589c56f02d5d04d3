"""The analysis of a study: read the CSVs, compute gaps, write tables and figures. It never reads a model's weights.

In notebooks, use `load("outputs/mine")`.
"""

from study.analysis.tidy import Tidy, load, load_histograms

__all__ = ["Tidy", "load", "load_histograms"]
