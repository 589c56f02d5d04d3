"""Data sets as tensors in memory: their facts (`dataset`), their sources, and their splits (`splits`)."""

from study.data.dataset import DataSet, RawImages
from study.data.splits import Part, Splits, load_splits, read_once

__all__ = ["DataSet", "Part", "RawImages", "Splits", "load_splits", "read_once"]
