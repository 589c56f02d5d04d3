"""Sparsity of the weights of a trained model, and its scores after small weights are removed."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from study.data import Part
from study.measures import weights
from study.measures.scoring import Score, Scorer, score
from study.measures.weights import ALL, NEAR_ZERO, THRESHOLDS
from study.models import MLP
from study.regularizers.scope import names_in_scope

PRUNED = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98)  # fractions of the weights in pruning_curve.csv


def sparsity_rows(model: nn.Module, train: Part, support: Sequence[int] | None = None) -> Iterator[list[Any]]:
    """Rows of sparsity.csv: one per parameter tensor, and one for all parameters together.

    Args:
        model: the trained model.
        train: the training split. A hidden unit is dead if it is never active on it.
        support: the features that decide the label; None if they are not known.
    """
    dead = dead_units(model, train)
    first = None if support is None else input_weight(model, train.all_images[0].numel())
    nothing = (None, None)
    tensors = {name: p.detach().abs().cpu().numpy().ravel() for name, p in model.named_parameters()}
    for name, w in {**tensors, ALL: np.concatenate(list(tensors.values()))}.items():
        magnitudes = weights.ordered(w)
        zeros = np.searchsorted(magnitudes, 0, side="right") / w.size
        below = [np.searchsorted(magnitudes, threshold, side="left") / w.size for threshold in THRESHOLDS]
        units: tuple[int | None, ...] = dead.get(name, (None, None))
        if name == ALL and dead:
            units = tuple(map(sum, zip(*dead.values(), strict=True)))
        scores: tuple[float | None, ...] = nothing
        if support is not None and first is not None and name in (first[0], ALL):
            scores = support_scores(first[1], support)
        yield [name, w.size, zeros, *below, hoyer(magnitudes), gini(magnitudes), *units, *scores]


def input_weight(model: nn.Module, features: int) -> tuple[str, Tensor] | None:
    """The name of the first weight with a column for each feature, and the weight; None if there is none."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and parameter[0].numel() == features:
            return name, parameter.detach()
    return None


def support_scores(weight: Tensor, support: Sequence[int]) -> tuple[float, float]:
    """Precision and recall of the features that a layer reads, against those that decide the label.

    A layer reads a feature unless all its weights of the feature are near zero, |w| < 0.001.

    Args:
        weight: of the input layer, (units, ...), with a column for each feature.
        support: positions of the features that decide the label.

    Returns:
        The fraction of the features read that are in the support (NaN if none is read), and the fraction of the
        support that is read.
    """
    read = (weight.abs().flatten(1).amax(dim=0) >= NEAR_ZERO).cpu()
    found = int(read[list(support)].sum())
    return found / int(read.sum()) if read.any() else float("nan"), found / len(support)


def hoyer(magnitudes: np.ndarray) -> float:
    """(√n − ℓ1/ℓ2)/(√n − 1) (Hoyer 2004): 0 if all magnitudes are equal, 1 if only one is not zero.

    Args:
        magnitudes: |w|, (n,). The result is NaN for n = 1 or if all are zero.
    """
    root, l2 = np.sqrt(magnitudes.size), np.linalg.norm(magnitudes)
    return float((root - magnitudes.sum() / l2) / (root - 1)) if magnitudes.size > 1 and l2 > 0 else float("nan")


def gini(magnitudes: np.ndarray) -> float:
    """The Gini index of |w| (Hurley and Rickard 2009): 0 if all are equal, 1 − 1/n if only one is not zero.

    Args:
        magnitudes: |w| in ascending order, (n,). The result is NaN if all are zero.
    """
    n, total = magnitudes.size, magnitudes.sum()
    ranks = np.arange(1, n + 1)
    return float(1 - 2 * np.dot(magnitudes / total, (n - ranks + 0.5) / n)) if total > 0 else float("nan")


@torch.no_grad()
def dead_units(model: nn.Module, train: Part) -> dict[str, tuple[int, int]]:
    """Count the hidden units of each layer, and those that are never active on the training set.

    The units are the outputs of each `nn.ReLU`. They belong to the last layer with weights before it.

    Returns:
        (units, dead units) by the name of the layer's weight; empty for a model without `nn.ReLU`.
    """
    active: dict[str, torch.Tensor] = {}
    layer = ""

    def on_layer(name: str):
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            nonlocal layer
            layer = name

        return hook

    def on_relu(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        seen = (output > 0).flatten(2).any(2).any(0) if output.dim() > 2 else (output > 0).any(0)
        active[layer] = active[layer] | seen if layer in active else seen

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            hooks.append(module.register_forward_hook(on_relu))
        elif isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            hooks.append(module.register_forward_hook(on_layer(f"{name}.weight")))
    try:
        if any(isinstance(module, nn.ReLU) for module in model.modules()):
            score(model, train)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (len(seen), int((~seen).sum())) for name, seen in active.items()}


def pruning_rows(model: nn.Module, epoch: int, parts: Mapping[str, Part], score: Scorer = score) -> Iterator[list[Any]]:
    """Rows of pruning.csv: scores after all weights below a threshold are set to 0; biases stay.

    Args:
        model: the trained model; not changed.
        epoch: the scored epoch.
        parts: the splits to score.
        score: scores a model on a split.
    """
    pruned = copy.deepcopy(model)
    prunable = [dict(pruned.named_parameters())[name] for name in names_in_scope(pruned, "weights")]
    count = sum(parameter.numel() for parameter in prunable)
    for threshold in (0.0, *THRESHOLDS):
        with torch.no_grad():
            for parameter in prunable:
                parameter[parameter.abs() < threshold] = 0
        removed = sum(int((parameter == 0).sum()) for parameter in prunable)
        effective = effective_parameters(pruned)
        for split, part in parts.items():
            found = score(pruned, part).score()
            accuracy = found.accuracy if isinstance(found, Score) else None
            yield [split, epoch, threshold, removed, count, effective, found.loss, accuracy]


def pruning_curve(model: nn.Module, epoch: int, val: Part, score: Scorer = score) -> Iterator[list[Any]]:
    """Rows of pruning_curve.csv: scores after fractions of the weights, those with the smallest |w|, are set to 0.

    Biases stay. Weights with the same |w| are removed together, so `removed` can be more than the fraction asks for.

    Args:
        model: the trained model; not changed.
        epoch: the scored epoch.
        val: the validation split.
        score: scores a model on a split.
    """
    pruned = copy.deepcopy(model)
    prunable = [dict(pruned.named_parameters())[name] for name in names_in_scope(pruned, "weights")]
    magnitudes = np.sort(np.concatenate([w.detach().abs().flatten().float().cpu().numpy() for w in prunable]))
    for fraction in PRUNED:
        largest = float(magnitudes[max(math.ceil(fraction * len(magnitudes)) - 1, 0)]) if fraction else 0.0
        with torch.no_grad():
            for parameter in prunable:
                parameter[parameter.abs() <= largest] = 0
        removed = sum(int((parameter == 0).sum()) for parameter in prunable)
        found = score(pruned, val).score()
        accuracy = found.accuracy if isinstance(found, Score) else None
        yield ["val", epoch, fraction, largest, removed, len(magnitudes), found.loss, accuracy]


def effective_parameters(model: nn.Module) -> int:
    """Count the parameters that can affect the output (Vysogorets and Kempe 2023, there without biases).

    Such a parameter is not zero. It lies on a path of nonzero weights that ends at a logit and starts at an input or at
    a bias. For models other than MLPs without batch normalization, all nonzero parameters count.
    """
    if type(model) is not MLP or len(model.norms):
        return sum(int((parameter != 0).sum()) for parameter in model.parameters())
    layers: Sequence[nn.Linear] = [*model.hidden, model.output]
    links = [layer.weight.detach() != 0 for layer in layers]  # (outputs, inputs)
    biases = [layer.bias.detach() != 0 for layer in layers]
    sends = [torch.ones(layers[0].in_features, dtype=torch.bool, device=links[0].device)]  # units that can be nonzero
    for link, bias in zip(links, biases, strict=True):
        sends.append((link & sends[-1]).any(dim=1) | bias)
    heard = torch.ones(layers[-1].out_features, dtype=torch.bool, device=links[0].device)
    total = 0
    for link, bias, source in zip(reversed(links), reversed(biases), reversed(sends[:-1]), strict=True):
        on_path = link & source & heard[:, None]
        total += int(on_path.sum()) + int((bias & heard).sum())
        heard = on_path.any(dim=0)
    return total
