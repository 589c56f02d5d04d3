"""Measures that do not change when ReLU units are rescaled, and the ranks of the weight matrices.

Multiply the weights into a ReLU unit by c > 0 and divide the weights out of it by c. The network computes the same
function, but norms and histograms of its weights change. To compare the size of networks, use these measures.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from study.measures.regression import ScoredRegression
from study.measures.scoring import Scored
from study.models import MLP
from study.regularizers.scope import as_matrix, names_in_scope

MOST_ROWS = 1024  # of a matrix whose rank is measured during training, and not only at its end
MARGIN_SHARES = {"margin_q10": 0.1, "margin_median": 0.5}


@torch.no_grad()
def invariant_rows(model: nn.Module, train: Scored | ScoredRegression) -> Iterator[list[Any]]:
    """Rows of invariants.csv: measure, parameter (empty for the whole network), value.

    Path norms and margins exist only for MLPs without batch normalization, because the scale of weights before batch
    normalization has no effect. `in_out` exists only for MLPs with one hidden layer. Regressions have no margins.

    Args:
        model: the trained model.
        train: scores of the model on the training split, for the margins.
    """
    parameters = dict(model.named_parameters())
    for name in names_in_scope(model, "weights"):
        singular = torch.linalg.svdvals(as_matrix(parameters[name]).cpu().double())
        yield ["stable_rank", name, stable_rank(singular)]
        yield ["effective_rank", name, effective_rank(singular)]
    if type(model) is not MLP or not model.is_plain_relu:
        return
    weights = [layer.weight.cpu().double() for layer in (*model.hidden, model.output)]
    l1, l2 = path_norm(weights, 1), path_norm(weights, 2)
    yield ["path_norm_l1", "", l1]
    yield ["path_norm_l2", "", l2]
    if len(weights) == 2:
        yield ["in_out", "", in_out(*weights)]
    if isinstance(train, ScoredRegression):
        return
    margins = _margins(train.logits.cpu().double(), train.labels.cpu())
    for measure, share in MARGIN_SHARES.items():
        margin = float(torch.quantile(margins, share))
        yield [measure, "", margin]
        yield [f"{measure}_over_path_norm_l1", "", margin / l1 if l1 else float("nan")]
        yield [f"{measure}_over_path_norm_l2", "", margin / l2 if l2 else float("nan")]


def path_norm(weights: list[Tensor], power: int) -> float:
    """(Σ over paths from an input to an output of Π|w|^p)^(1/p) (Neyshabur, Tomioka and Srebro 2015); without biases.

    Args:
        weights: one matrix (outputs, inputs) per layer, first layer first.
        power: p.
    """
    reach = torch.ones(weights[0].shape[1], dtype=weights[0].dtype)
    for weight in weights:
        reach = weight.abs().pow(power) @ reach
    return float(reach.sum() ** (1 / power))


def in_out(below: Tensor, above: Tensor) -> float:
    """Σ over hidden units of ‖weights in‖₂ ‖weights out‖₂ (Neyshabur et al. 2015); without biases.

    It equals ½Σw² when every unit is rescaled so that both norms are equal. With more than one hidden layer it would
    change under rescaling.

    Args:
        below: weights of the hidden layer, (units, inputs).
        above: weights of the output layer, (classes, units).
    """
    return float((below.norm(dim=1) * above.norm(dim=0)).sum())


def stable_rank(singular: Tensor) -> float:
    """Σσ²/σ₁² (Rudelson and Vershynin 2007) of singular values, largest first; NaN for a zero matrix."""
    return float(singular.square().sum() / singular[0] ** 2) if singular[0] > 0 else float("nan")


def effective_rank(singular: Tensor) -> float:
    """exp of the entropy of σ/Σσ (Roy and Vetterli 2007); NaN for a zero matrix."""
    shares = singular / singular.sum()
    return float(torch.exp(torch.special.entr(shares).sum())) if singular[0] > 0 else float("nan")


def effective_rank_of(weights: np.ndarray) -> float | None:
    """The effective rank of a weight matrix; None for vectors, huge matrices and weights that are not finite.

    The singular values are the roots of the eigenvalues of the smaller Gram matrix, in double precision. This takes
    less time than a singular value decomposition.

    Args:
        weights: (outputs, inputs), or (outputs, ...) for convolutions.
    """
    if weights.ndim < 2 or min(weights.shape[0], weights[0].size) > MOST_ROWS or not np.isfinite(weights).all():
        return None
    matrix = torch.from_numpy(weights).flatten(1).double()
    gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    return effective_rank(torch.linalg.eigvalsh(gram).flip(0).clamp(min=0).sqrt())


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the true class minus the largest other logit, (n,)."""
    true = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return true - others.max(dim=1).values
