"""The training loop of ReLU MLPs on a CPU: the general loop's numbers in fewer passes over memory.

On a CPU a step is limited by memory, not by arithmetic. So all buffers are reused, the penalty's gradient is where
the weight gradient starts from, and the backward pass is written out.
"""

import torch
import torch.nn.functional as F
from torch import nn

from study.data import Part
from study.models import MLP
from study.regularizers import Regularizer

PATH = "mlp"


def fits(model: nn.Module, device: torch.device) -> bool:
    """Whether this loop can train the model; the general one can train any."""
    return type(model) is MLP and device.type == "cpu"


@torch.no_grad()
def train_epoch(
    model: MLP,
    regularizer: Regularizer,
    optimizer: torch.optim.Optimizer,
    train: Part,
    batch_size: int,
    order: torch.Generator,
) -> float:
    """Train for one epoch: same arguments, result and numbers (up to rounding) as `training.train_epoch`."""
    model.train()
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    layers = [*model.hidden, model.output]
    penalized = {id(parameter) for parameter in regularizer.parameters}
    start = {p: regularizer.lam if id(p) in penalized else 0.0 for p in model.parameters()}
    images = train.images.flatten(1)
    targets = F.one_hot(train.labels, model.output.out_features).to(images.dtype)
    batches = torch.randperm(len(train), generator=order).split(batch_size)
    widths = [images.shape[1], *(layer.out_features for layer in model.hidden)]
    buffers = [images.new_empty(batch_size, width) for width in widths]
    objective = images.new_empty(len(batches))
    for step, batch in enumerate(batches):
        inputs = [buffer[: len(batch)] for buffer in buffers]  # of each layer; the last batch may be short
        target = targets.index_select(0, batch)
        torch.index_select(images, 0, batch, out=inputs[0])
        for layer, before, after in zip(model.hidden, inputs, inputs[1:], strict=False):
            torch.addmm(layer.bias, before, layer.weight.t(), out=after).relu_()
        log_probability = F.log_softmax(torch.addmm(model.output.bias, inputs[-1], model.output.weight.t()), dim=1)
        loss = -torch.dot(log_probability.flatten(), target.flatten()) / len(batch)
        objective[step] = loss + regularizer.start_gradients()
        error = log_probability.exp_().sub_(target).div_(len(batch))  # gradient of the loss by the logits
        for index in reversed(range(len(layers))):
            weight, bias, before = layers[index].weight, layers[index].bias, inputs[index]
            earlier = torch.mm(error, weight).mul_(before > 0) if index else None
            # beta = 0 ignores what is in the buffer; with a penalty it is dR/dw, which λ multiplies here.
            torch.addmm(weight.grad, error.t(), before, beta=start[weight], out=weight.grad)
            if start[bias]:
                bias.grad.mul_(start[bias]).add_(error.sum(dim=0))
            else:
                torch.sum(error, dim=0, out=bias.grad)
            error = earlier
        optimizer.step()
    return float(objective.double().mean())
