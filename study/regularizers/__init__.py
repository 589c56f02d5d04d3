"""Regularizers: the options of conf/reg/. Each acts on training through the hooks of `base.Regularizer`.

`penalties` add λR(w) to the loss, `projections` change the weights around a step, `data_side` changes the batch or the
loss, `activity` penalizes hidden units, `augmentation` changes images at random, `model_side` sets options of the
model, and `early_stopping` ends training. `combined` holds all regularizers of one run, with the schedule of each λ.
"""

from study.regularizers.base import LamRange, Regularizer, Scoped
from study.regularizers.combined import Combined, Part
from study.regularizers.penalties import Penalty

__all__ = ["Combined", "LamRange", "Part", "Penalty", "Regularizer", "Scoped"]
