"""Data sets as tensors in memory: what each is (`dataset`), where it comes from, and how it is split (`splits`)."""

from study.data.dataset import DataSet, RawImages
from study.data.splits import Part, Splits, load_splits, read_once

__all__ = ["DataSet", "Part", "RawImages", "Splits", "load_splits", "read_once"]
