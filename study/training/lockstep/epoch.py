"""Train several runs for an epoch, step by step together."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from study.models import MLP
from study.tasks import CLASSIFICATION
from study.training.general import batch_order
from study.training.lockstep.draws import Counted, Draws, Generators
from study.training.lockstep.fusing import fused
from study.training.lockstep.inputs import Changes, Examples
from study.training.lockstep.networks import any_logits, mlp_logits
from study.training.lockstep.penalties import Penalties
from study.training.lockstep.replay import Replay, Tables
from study.training.lockstep.rules import Rule
from study.training.lockstep.stack import Stack, column
from study.training.state import State


class Lockstep:
    """Runs that make the same steps, each with weights, data, orders, draws and strengths of its own.

    All of them have one architecture, batch size, optimizer class and number of training images. The numbers of a run
    are the same whoever its companions are, and whatever its slot is.
    """

    def __init__(
        self,
        states: Sequence[State],
        rule: Rule,
        train: Examples,
        task: str,
        classes: int,
        batch_size: int,
        images: int | None,
        width: int,
        generators: Sequence[torch.Generator],
        keys: Sequence[int],
        steps: Sequence[int],
    ):
        """Stack the runs.

        Args:
            states: of the runs; their models and optimizers become views of the stack.
            rule: of their optimizer.
            train: their training splits.
            task: of the data set.
            classes: number of classes, or of targets.
            batch_size: images per step.
            images: number of images in an epoch; None: every image of the split once.
            width: number of slots.
            generators: of each run's dropout and further draws, on the CPU.
            keys: of each run's draws on an accelerator, in [0, 2³²).
            steps: the number of steps that each run has made.
        """
        self.states, self.rule, self.train, self.width = states, rule, train, width
        self.task, self.batch_size, self.images, self.generators = task, batch_size, images, generators
        self.stack = Stack(states, rule, width, steps)
        first = self.stack.values[0]
        self.device, self.dtype = first.device, first.dtype
        regularizers = [state.regularizer for state in states]
        self.penalties = Penalties([state.model for state in states], regularizers, width, self.stack.values)
        self.changes = Changes(states, width, task, classes, first)
        options = torch.zeros(len(rule.options), width, dtype=torch.float64)
        for slot, state in enumerate(states):
            options[:, slot] = torch.tensor(rule.options_of(state.optimizer), dtype=torch.float64)
        self.exact_options = dict(zip(rule.options, options, strict=True))
        self.options = {key: values.to(self.device, self.dtype) for key, values in self.exact_options.items()}
        self.clip = self._numbers([state.clip_norm or float("inf") for state in states], idle=float("inf"))
        self.clips = any(state.clip_norm is not None for state in states)
        self.draws: Draws = Generators(generators)
        if self.device.type != "cpu":
            self.draws = Counted(torch.tensor([*keys, *[0] * (width - len(keys))], device=self.device))
        self.rule_step = fused(rule.step, self.device)
        self.replay: Replay | None = None
        model = states[0].model
        self.rate = [state.model.dropout if isinstance(state.model, MLP) else 0.0 for state in states]
        self.rates = self._numbers(self.rate)
        dropping = self._dropping if type(model) is MLP and any(self.rate) else None
        self.logits: Callable[[Sequence[Tensor], Tensor], Tensor] = partial(any_logits, model)
        self.training_logits = self.logits
        if isinstance(model, MLP):
            self.logits = partial(mlp_logits, model)
            self.training_logits = partial(mlp_logits, model, dropping=dropping)

    def _numbers(self, of_runs: Sequence[float], idle: float = 0.0) -> Tensor:
        filled = [*of_runs, *[idle] * (self.width - len(of_runs))]
        return torch.tensor(filled, dtype=torch.float64).to(self.device, self.dtype)

    def _dropping(self, layer: int, units: Tensor) -> Tensor:
        return units * self.draws.kept(self.rate, self.rates, layer, units)

    def train_epoch(self) -> list[float]:
        """Train all runs that are not frozen for one epoch; return the objective of each run, NaN for frozen ones.

        The objective is as in `general.train_epoch`.
        """
        order = self._orders()
        self.penalties.update()
        self.changes.update()
        count = -(-order.shape[1] // self.batch_size)
        objectives = (self._by_steps if self.device.type == "cpu" else self._by_tables)(order, count)
        self.stack.note_steps(count)
        means = objectives.cpu().double().mean(dim=0).tolist()
        return [mean if alive else float("nan") for mean, alive in zip(means, self.stack.alive, strict=False)]

    def _by_steps(self, order: Tensor, count: int) -> Tensor:
        """Make the steps of an epoch one after the other; return the objectives, (steps, width)."""
        lr, factors = self._rates(count)
        objectives = []
        for number, batch in enumerate(order.split(self.batch_size, dim=1)):
            shares = self._numbers(self._shares(), idle=1.0)
            objectives.append(self._step(batch, self.stack.steps + number, lr[number], factors[number], shares))
        return torch.stack(objectives)

    def _by_tables(self, order: Tensor, count: int) -> Tensor:
        """Do the same by tables that are computed beforehand, so that no step waits for Python."""
        numbers = self.stack.steps + torch.arange(count)[:, None]
        shares = torch.ones(count, self.width, dtype=torch.float64)
        if self.changes.mixing:
            shares[:, : len(self.states)] = torch.tensor([self._shares() for _ in range(count)], dtype=torch.float64)
        tables = Tables(order, numbers.to(self.device), *self._rates(count), shares.to(self.device, self.dtype))
        if self.replay is None:
            moments = [tensor for of_key in self.stack.moments for tensor in of_key]
            self.replay = Replay(self._step, self.batch_size, tables, [*self.stack.values, *moments])
        return self.replay.epoch(tables)

    def _rates(self, count: int) -> tuple[Tensor, Tensor]:
        """The learning rates, (steps, width), and the optimizer's factors, (steps, factors, width), of an epoch."""
        lr = torch.zeros(count, self.width, dtype=torch.float64)
        for slot, (state, alive) in enumerate(zip(self.states, self.stack.alive, strict=True)):
            if not alive:
                continue
            if state.schedule is None:
                lr[:, slot] = state.optimizer.param_groups[0]["lr"]
                continue
            with warnings.catch_warnings():  # torch misses the steps of its optimizer
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                for number in range(count):
                    lr[number, slot] = state.optimizer.param_groups[0]["lr"]
                    state.schedule.step()
        steps = self.stack.steps + torch.arange(1, count + 1)[:, None]
        factors = self.rule.factors(lr, steps, self.exact_options)
        return lr.to(self.device, self.dtype), factors.to(self.device, self.dtype)

    def _orders(self) -> Tensor:
        """The order of each run's images in this epoch, int64 (width, images)."""
        orders = []
        for state, alive in zip(self.states, self.stack.alive, strict=True):
            if alive:
                orders.append(batch_order(len(self.train), self.images, state.order))
            else:
                orders.append(torch.zeros(self.images or len(self.train), dtype=torch.int64))
        idle = self.width - len(self.states)
        return torch.stack(orders + [torch.zeros_like(orders[0])] * idle).to(self.device)

    def _shares(self) -> list[float]:
        shares = [1.0] * len(self.states)
        for slot, share in zip(self.changes.mixing, self.changes.shares(self.generators), strict=True):
            shares[slot] = share
        return shares

    def _step(self, batch: Tensor, numbers: Tensor, lr: Tensor, factors: Tensor, shares: Tensor) -> Tensor:
        """Make one step of all runs; return the objective of each, (width,).

        Args:
            batch: the index of the examples, int64 (width, n).
            numbers: of each run's step, from 0, int64 (width,).
            lr: the learning rates, (width,).
            factors: of the rule, (factors, width).
            shares: of mixup, (width,).
        """
        self.draws.start_step(numbers)
        images, targets = self.changes.apply(*self.train.take(batch), self.draws, shares)
        values = self.stack.values
        losses = losses_of(self.training_logits(values, images), targets, self.task)
        gradients = list(torch.autograd.grad(losses.sum(), values))
        with torch.no_grad():
            return self._update(losses.detach(), gradients, lr, factors)

    def _update(self, losses: Tensor, gradients: list[Tensor], lr: Tensor, factors: Tensor) -> Tensor:
        values = self.stack.values
        penalty = self.penalties.before_step(gradients, lr)
        if self.clips:
            self._clip(gradients)
        columns = {w.dim(): ([column(f, w) for f in factors], self._columns(w)) for w in values}
        moments = list(zip(*self.stack.moments, strict=True))
        for w, gradient, own in zip(values, gradients, moments, strict=True):
            self.rule_step(w.detach(), gradient, own, *columns[w.dim()])
        self.penalties.after_step(lambda number: self.rule.metric(moments[number], *columns[values[number].dim()]))
        return losses + penalty

    def _columns(self, like: Tensor) -> Mapping[str, Tensor]:
        return {key: column(values, like) for key, values in self.options.items()}

    def _clip(self, gradients: list[Tensor]) -> None:
        """Scale the gradients of each run to its largest norm, as torch's clip_grad_norm_."""
        norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
        factor = (self.clip / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
        limited = self.clip < float("inf")
        for number, gradient in enumerate(gradients):
            gradients[number] = torch.where(column(limited, gradient), gradient * column(factor, gradient), gradient)

    def freeze(self, slot: int) -> None:
        """Stop the training of a run. Its slot becomes idle, and the others go on as before."""
        self.stack.freeze(slot)


def losses_of(logits: Tensor, targets: Tensor, task: str) -> Tensor:
    """The mean data loss of each run, (width,).

    Args:
        logits: (width, n, classes).
        targets: probabilities of the same shape; for regression, targets of the same shape.
        task: of the data set.
    """
    if task == CLASSIFICATION:
        return -(targets * logits.log_softmax(dim=2)).sum(dim=2).mean(dim=1)
    return (logits - targets).square().mean(dim=2).mean(dim=1)
