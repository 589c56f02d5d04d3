"""What the regularizers of all runs do in a step, in batched form: each formula acts on the stacked tensors at once.

A formula is computed for all slots, whoever uses it, so that its numbers do not depend on the companions of a run. A
mask then keeps it away from the runs that do not use it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from study.regularizers import Combined, Regularizer
from study.regularizers.penalties import Penalty
from study.regularizers.projections import shrink_groups
from study.regularizers.scope import hidden_layers
from study.training.lockstep.fusing import fused
from study.training.lockstep.stack import column, total

PENALTIES = ("absolute", "square", "norm")  # keys of `in_step`: Σ|w|, Σw², ‖w‖₂
OF_TENSORS = (*PENALTIES, "decay", "soft")
OF_UNITS = ("group", "cap")
PULLING = {*PENALTIES, "soft", "group"}  # those with a λR


def form_of(regularizer: Regularizer) -> Callable[[Tensor], Tensor] | None:
    """The function of one tensor of a penalty without a batched form of its own; None if it is no such penalty."""
    plain = isinstance(regularizer, Penalty) and type(regularizer).before_step is Penalty.before_step
    return regularizer.value if plain and regularizer.in_step is None else None  # type: ignore[attr-defined]


@dataclass
class _Acting:
    """A formula that acts on one stacked parameter.

    Attributes:
        parameter: its number.
        on: bool (width,): the runs that use it.
        lam: (width,): λ of each run times its factor, in the dtype of the weights.
        slots: for each of these runs its slot, its regularizer, and the factor of that λ.
        with_bias: for groups, bool (width,): whether the bias of a unit belongs to its group.
    """

    parameter: int
    on: Tensor
    lam: Tensor
    slots: list[tuple[int, Regularizer, float]] = field(default_factory=list)
    with_bias: Tensor | None = None

    def add(self, slot: int, regularizer: Regularizer, factor: float) -> None:
        self.on[slot] = True
        self.slots.append((slot, regularizer, factor))

    def update(self) -> None:
        """Read the current λ of the runs."""
        lam = [0.0] * len(self.lam)
        for slot, regularizer, factor in self.slots:
            lam[slot] += regularizer.lam * factor
        self.lam.copy_(torch.tensor(lam, dtype=torch.float64))


class Penalties:
    """The formulas of all runs: what they add to gradients, and how they change weights before and after a step."""

    def __init__(self, models: Sequence[nn.Module], combined: Sequence[Combined], width: int, values: Sequence[Tensor]):
        """Collect the formulas.

        Args:
            models: of the runs, whose parameters the regularizers are attached to.
            combined: the regularizers of each run.
            width: number of slots.
            values: the stacked weights.
        """
        self.width, self.values = width, values
        self.added = fused(_with_penalty, values[0].device)
        self.acting: dict[tuple[str, int], _Acting] = {}
        self.of_forms: dict[tuple[object, int], tuple[Callable[[Tensor], Tensor], _Acting]] = {}
        names = [name for name, _ in models[0].named_parameters()]
        self.biases = {  # of hidden layers, by the number of their weight; None if a layer has no bias
            names.index(f"{name}.weight"): None if layer.bias is None else names.index(f"{name}.bias")
            for name, layer in hidden_layers(models[0])
        }
        for slot, (model, regularizers) in enumerate(zip(models, combined, strict=True)):
            place = {id(parameter): number for number, parameter in enumerate(model.parameters())}
            for regularizer in regularizers.regularizers:
                self._add(slot, regularizer, place)
        # One order for all: that of sums, which is rounded, must not depend on the run that comes first.
        kinds = (*OF_TENSORS, *OF_UNITS)
        self.acting = dict(sorted(self.acting.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1])))
        self.of_forms = dict(sorted(self.of_forms.items(), key=lambda item: item[0][1]))

    def _add(self, slot: int, regularizer: Regularizer, place: dict[int, int]) -> None:
        scoped = {place[id(s.parameter)]: s.factor for s in regularizer.scoped}
        for kind, unit in (regularizer.in_step or {}).items():
            if kind in OF_TENSORS:
                for number, factor in scoped.items():
                    self._of(kind, number).add(slot, regularizer, unit * factor)
            elif kind in OF_UNITS:
                for weight in scoped.keys() & self.biases.keys():
                    of_units = self._of(kind, weight)
                    of_units.add(slot, regularizer, unit * scoped[weight])
                    if of_units.with_bias is None:
                        of_units.with_bias = torch.zeros_like(of_units.on)
                    of_units.with_bias[slot] = self.biases[weight] in scoped  # None is not
        form = form_of(regularizer)
        if form is not None:
            for number, factor in scoped.items():
                key = (_identity(regularizer), number)
                if key not in self.of_forms:
                    self.of_forms[key] = (form, self._new(number))
                self.of_forms[key][1].add(slot, regularizer, factor)

    def _of(self, kind: str, number: int) -> _Acting:
        if (kind, number) not in self.acting:
            self.acting[kind, number] = self._new(number)
        return self.acting[kind, number]

    def _new(self, number: int) -> _Acting:
        like = self.values[number]
        on = torch.zeros(self.width, dtype=torch.bool, device=like.device)
        return _Acting(number, on, torch.zeros(self.width, dtype=like.dtype, device=like.device))

    def update(self) -> None:
        """Read the current λ of all runs, after it was set for an epoch."""
        for acting in (*self.acting.values(), *(acting for _, acting in self.of_forms.values())):
            acting.update()

    def before_step(self, gradients: list[Tensor], lr: Tensor) -> Tensor:
        """Add the gradients of all penalties, and decay weights; return the penalties, (width,).

        Args:
            gradients: of the data loss, for each parameter; replaced.
            lr: the learning rates, (width,).
        """
        value = torch.zeros_like(lr)
        for (kind, number), acting in self.acting.items():
            w = self.values[number].detach()
            if kind in PENALTIES:
                gradients[number], value = self.added(kind, w, gradients[number], value, acting.lam, acting.on)
            elif kind == "decay":
                w.copy_(_where(acting.on, w * column(1 - lr * acting.lam, w), w))
            elif kind == "soft":
                value = torch.where(acting.on, value + acting.lam * total(w.abs()), value)
            elif kind == "group":
                norms = torch.linalg.vector_norm(self._rows(acting), dim=2).sum(dim=1)
                value = torch.where(acting.on, value + acting.lam * norms, value)
        for form, acting in self.of_forms.values():
            w = self.values[acting.parameter].detach()
            pull, amount = torch.func.vmap(torch.func.grad_and_value(form))(w)
            number = acting.parameter
            gradients[number] = _where(acting.on, gradients[number] + column(acting.lam, w) * pull, gradients[number])
            value = torch.where(acting.on, value + acting.lam * amount, value)
        return value

    def after_step(self, metric: Callable[[int], tuple[Tensor, bool]]) -> None:
        """Change weights after the optimizer's step.

        Args:
            metric: of a parameter, given by its number; see `rules.Rule.metric`.
        """
        for (kind, number), acting in self.acting.items():
            w = self.values[number].detach()
            if kind == "soft":
                threshold = column(acting.lam, w) * metric(number)[0]
                w.copy_(_where(acting.on, w.sign() * (w.abs() - threshold).clamp_(min=0), w))
            elif kind == "cap":
                norms, largest = torch.linalg.vector_norm(w.flatten(2), dim=2), acting.lam[:, None]
                shrink = torch.where((norms > largest) & acting.on[:, None], largest / norms, 1.0)
                w.mul_(shrink.view(*shrink.shape, *[1] * (w.dim() - 2)))
            elif kind == "group":
                self._shrink(acting, metric)

    def _rows(self, acting: _Acting) -> Tensor:
        """The groups of a layer, (width, units, inputs + 1); the bias counts as 0 where it is no part of them."""
        weight, number = self.values[acting.parameter].detach().flatten(2), self.biases[acting.parameter]
        if number is None:
            return weight
        assert acting.with_bias is not None
        bias = self.values[number].detach()
        return torch.cat([weight, torch.where(acting.with_bias[:, None], bias, 0.0)[..., None]], dim=2)

    def _shrink(self, acting: _Acting, metric: Callable[[int], tuple[Tensor, bool]]) -> None:
        number, of_bias, rows = acting.parameter, self.biases[acting.parameter], self._rows(acting)
        w, lam, on = self.values[number].detach(), acting.lam[:, None, None], acting.on & (acting.lam > 0)
        step, uniform = metric(number)
        if uniform:
            norms = torch.linalg.vector_norm(rows, dim=2, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
            shrunk = rows * (1 - step.view(-1, 1, 1) * lam / norms).clamp_(min=0)
        else:
            steps = [step.flatten(2)] if of_bias is None else [step.flatten(2), metric(of_bias)[0][..., None]]
            shrunk = shrink_groups(rows, torch.cat(steps, dim=2), lam)
        w.copy_(_where(on, shrunk[..., : w[0, 0].numel()].reshape(w.shape), w))
        if of_bias is not None and acting.with_bias is not None:
            bias = self.values[of_bias].detach()
            bias.copy_(_where(on & acting.with_bias, shrunk[..., -1], bias))


def _with_penalty(
    kind: str, w: Tensor, gradient: Tensor, value: Tensor, lam: Tensor, on: Tensor
) -> tuple[Tensor, Tensor]:
    """Add a penalty's gradient to those of a parameter, and λR to the penalties of the runs, (width,)."""
    amount, pull = _penalty(kind, w)
    value = torch.where(on, value + lam * amount, value)
    if kind == "absolute":  # finite whatever the weights are, so λ = 0 keeps it away without a mask
        return torch.addcmul(gradient, pull, column(lam, w)), value
    return _where(on, gradient + column(lam, w) * pull, gradient), value


def _penalty(kind: str, w: Tensor) -> tuple[Tensor, Tensor]:
    """R of each run, (width,), and its gradient, (width, *shape)."""
    if kind == "absolute":
        return total(w.abs()), w.sign()
    if kind == "square":
        return total(w.square()), 2 * w
    norm = total(w.square()).sqrt()
    return norm, w * column(torch.where(norm > 0, 1 / norm, 0.0), w)


def _where(on: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(column(on, then), then, otherwise)


def _identity(regularizer: Regularizer) -> object:
    """What is equal for penalties that compute the same function of a tensor, whatever their λ and scope."""
    own = {k: v for k, v in vars(regularizer).items() if k not in ("lam", "scoped", "classes", "_scratch")}
    parts = []
    for key, value in sorted(own.items()):
        if isinstance(value, partial):
            value = (value.func, value.args, tuple(sorted(value.keywords.items())))
        parts.append((key, value))
    identity = (type(regularizer), tuple(parts))
    try:
        hash(identity)
    except TypeError:  # an option is a list or a mapping
        return id(regularizer)
    return identity
