"""Regularizers: what each option of conf/reg/ does to training, through the hooks of `base.Regularizer`.

`penalties` add λR(w) to the loss, `projections` change the weights after a step, `data_side` changes the batch or the
loss, `model_side` sets options of the model, and `early_stopping` ends the training. `combined` holds all that one run
uses, with the schedule of each λ.
"""

from study.regularizers.base import LamRange, Regularizer, Scoped
from study.regularizers.combined import Combined, Part
from study.regularizers.penalties import Penalty

__all__ = ["Combined", "LamRange", "Part", "Penalty", "Regularizer", "Scoped"]
