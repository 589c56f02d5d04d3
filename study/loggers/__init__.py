"""Loggers: copy the epochs and scores of a run to TensorBoard, MLflow or W&B while it trains.

A logger never changes a run: its files are in outputs/<name>/loggers/, and an error of it costs one warning.
"""
