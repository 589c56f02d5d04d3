"""The general training loop, for any model. It is short, uses no DataLoader, and does not wait for the device."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from study.data import Part
from study.measures.scoring import images_at_once, logits_of  # noqa: F401  every loop has logits_of, too
from study.regularizers import Combined
from study.tasks import data_loss
from study.training.state import PausedError, State

PATH = "general"  # recorded in status.json
GRADIENT_IMAGES = 1_000  # number of training images for the gradient ratio
GRADIENT_BATCH = 500  # of these, images at a time


def train_epoch(
    state: State,
    train: Part,
    batch_size: int,
    images: int | None = None,
    step: Callable[[], Tensor | float] | None = None,
) -> float:
    """Train for one epoch in minibatches, by default with every image once. The short last batch is kept.

    Args:
        state: model, regularizer, optimizer and more; changed in place.
        train: the training split.
        batch_size: images per step.
        images: number of images in an epoch; None: every image of the split once. An epoch with more images than the
            split uses several permutations, one after the other.
        step: makes a step with the gradients of the data loss, and returns the penalty; None: by torch.

    Returns:
        The objective: the mean over the minibatches of data loss plus penalty, as the optimizer saw them.

    Raises:
        PausedError: the state asked for it. A further call goes on with the epoch.
    """
    model, regularizer, under_way = state.model, state.regularizer, state.under_way
    model.train()
    step = step or partial(_step_by_torch, state)
    if under_way.left is None:
        under_way.left, under_way.objective = batch_order(len(train), images, state.order), []
    device, objective, loss_of = train.all_labels.device, under_way.objective, data_loss(train.task)
    objective[:] = [value.to(device) for value in objective]  # those of a checkpoint are on the CPU
    batches = under_way.left.to(device).split(batch_size)
    for number, batch in enumerate(batches):
        if number > 0 and state.pause():  # after a step at least, so that a run that is paused often gets on
            under_way.left = torch.cat(batches[number:]).cpu()
            raise PausedError
        backward = partial(_backward, state, loss_of, *regularizer.on_batch(*train.take(batch)))
        loss = regularizer.on_backward(backward)
        _set_layout(model)
        objective.append(loss + step())
        if state.schedule is not None:
            state.schedule.step()
    under_way.left = None
    return float(torch.stack(objective).cpu().double().mean())


def _backward(state: State, loss_of: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Set the gradients to those of a batch's loss at the current weights; return the loss, a scalar."""
    state.optimizer.zero_grad(set_to_none=True)
    logits = state.model(inputs)
    loss = loss_of(logits, targets)
    loss = loss + state.regularizer.on_loss(loss, inputs, logits)
    loss.backward()
    return loss.detach()


def _set_layout(model: nn.Module) -> None:
    """Give each gradient the strides of its parameter: the steps read both in the order of memory, torch's fused too.

    Autograd does so. A regularizer that replaces gradients may not.
    """
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)


def _step_by_torch(state: State) -> Tensor | float:
    """Make a step of the regularizers and of the optimizer; return the penalty, a scalar."""
    penalty = state.regularizer.before_step(state.optimizer)
    if state.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), state.clip_norm)
    state.optimizer.step()
    state.regularizer.after_step(state.optimizer)
    return penalty


def batch_order(count: int, images: int | None, order: torch.Generator) -> torch.Tensor:
    """The numbers of the images of an epoch, int64 (images,), from as many permutations of `count` as needed."""
    passes = -(-(images or count) // count)
    return torch.cat([torch.randperm(count, generator=order) for _ in range(passes)])[:images]


def penalty_and_gradient_ratio(
    model: nn.Module,
    regularizer: Combined,
    train: Part,
    data_gradient_norm: Callable[[nn.Module, Part], float],
) -> tuple[float, float]:
    """Compute λR, and ‖∇penalty‖/‖∇data loss‖ on a fixed batch in eval mode.

    The ratio is the strength of the penalty relative to the data. The batch is the first 1,000 training images, which
    are a stratified sample, because the training set is kept in drawn order. A penalty that depends on images uses the
    same batch. Both norms include all parameters. The gradients and the mode of the model do not change.

    Args:
        model: the model.
        regularizer: the run's regularizers.
        train: the training split.
        data_gradient_norm: the training loop's own.

    Returns:
        The penalty in the unit of the loss, and the ratio, which is infinite if the gradient of the data loss is zero.
    """
    was_training = model.training
    model.eval()
    count, parameters = min(GRADIENT_IMAGES, len(train)), list(model.parameters())
    with torch.enable_grad():
        penalty = regularizer.penalty(model, *train.take(slice(0, count)))
        pull = torch.autograd.grad(penalty, parameters, allow_unused=True) if penalty.requires_grad else ()
    pull_norm, ratio = _norm([gradient for gradient in pull if gradient is not None]), 0.0
    if pull_norm != 0:  # without a penalty, the gradient of the data loss is not needed
        data_norm = data_gradient_norm(model, train)
        ratio = pull_norm / data_norm if data_norm else float("inf")
    model.train(was_training)
    return float(penalty.detach()), ratio


def data_gradient_norm(model: nn.Module, train: Part) -> float:
    """The norm over all parameters of the gradient of the mean data loss of the first 1,000 training images.

    Args:
        model: in eval mode.
        train: the training split.
    """
    count, parameters = min(GRADIENT_IMAGES, len(train)), list(model.parameters())
    total = [torch.zeros_like(parameter) for parameter in parameters]
    step = min(GRADIENT_BATCH, images_at_once(model, total[0].device))
    for start in range(0, count, step):
        images, labels = train.take(slice(start, min(start + step, count)))
        with torch.enable_grad():
            loss = data_loss(train.task)(model(images), labels, reduction="sum") / count
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for of_parameter, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                of_parameter.add_(gradient)
    return _norm(total)


def _norm(gradients: list[torch.Tensor]) -> float:
    if not gradients:
        return 0.0
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    return float(torch.linalg.vector_norm(norms))
