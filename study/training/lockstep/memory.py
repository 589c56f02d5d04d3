"""How many runs in lockstep fit in the memory of a card, estimated before they start."""

from typing import Any

import torch
from torch import Tensor, nn

from study.config.build import build_dataset, build_model
from study.config.run_config import RunConfig
from study.data import DataSet
from study.training.lockstep.rules import RULES
from study.training.lockstep.scores import IMAGES

SPARE = 0.2  # of the free memory: for CUDA itself, for its libraries, and for what the estimate does not see
PASSING = 5  # tensors as large as the weights that a step needs: the gradients, and what its formulas allocate
KEPT = 4  # tensors as large as the activations: their gradients, masks, and what allocators round up


def width_that_fits(config: RunConfig, width: int, free: int) -> int:
    """The largest number of slots, at most `width`, by halving it until the runs fit; at least 1.

    Args:
        config: of any of the runs.
        width: the number of slots that was asked for.
        free: bytes of the card that are free.
    """
    shared, of_each = needed_bytes(config)
    while width > 1 and shared + width * of_each > (1 - SPARE) * free:
        width //= 2
    return width


def needed_bytes(config: RunConfig) -> tuple[int, int]:
    """Bytes that all runs of a group need together for their images, and that each run needs for itself."""
    dataset = build_dataset(config.data)
    with torch.device("meta"):
        model = build_model(config.model, dataset)
    size = 8 if config.precision == "float64" else 4
    weights = sum(parameter.numel() for parameter in model.parameters())
    tensors = 1 + len(RULES[config.optimizer["_target_"]].moments) + PASSING
    images = max(config.batch_size, IMAGES)
    activations = images * (_activations(model, dataset) + torch.Size(dataset.image_shape).numel())
    examples = dataset.train_count * torch.Size(dataset.image_shape).numel()
    return 2 * examples * size, size * (weights * tensors + activations * KEPT) + dataset.train_count * 16


def _activations(model: nn.Module, dataset: DataSet) -> int:
    """The number of values that the layers of a model, on the meta device, compute for one image."""
    count = 0

    def add(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
        nonlocal count
        count += outputs.numel() if isinstance(outputs, Tensor) else 0

    for module in model.modules():
        module.register_forward_hook(add)
    model.eval()
    model(torch.empty(1, *dataset.image_shape, device="meta"))
    return count
