"""The weights and moments of several runs in stacked tensors, (runs, ...), one slot for each run.

Each slot starts at a multiple of 64 numbers, so that its place in memory is aligned, and vectorized code processes all
slots in the same way. The tensors of a run's model and optimizer become views of its slot: whatever reads or writes
them, such as a checkpoint or a scorer, works on the stack.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from study.training.lockstep.rules import Rule
from study.training.state import State

UNIT = 64  # numbers, so 256 bytes in float32


class Stack:
    """The weights, and the optimizer's moments, of several runs of one architecture.

    Attributes:
        width: number of slots; the last ones may be idle, and have weights of 0.
        names: of the parameters.
        values: the weights, (width, *shape) for each parameter; leaves of autograd.
        moments: for each moment of the optimizer the same.
        steps: int64 (width,): steps that the optimizer of each run has made. On the CPU.
        alive: of each run, whether it is trained. A frozen one is not.
    """

    def __init__(self, states: Sequence[State], rule: Rule, width: int, steps: Sequence[int]):
        """Move the weights and moments of runs into a stack. Slot r belongs to the r-th run.

        Args:
            states: of the runs.
            rule: of their optimizer.
            width: number of slots, at least that of the runs.
            steps: the number of steps that each run has made.
        """
        self.width, self.states, self.rule = width, states, rule
        first = states[0].model
        self.names = [name for name, _ in first.named_parameters()]
        like = [parameter.detach() for parameter in first.parameters()]
        self.values = [_stacked(width, w).requires_grad_() for w in like]
        self.moments = [[_stacked(width, w) for w in like] for _ in rule.moments]
        self.steps = torch.tensor([*steps, *[0] * (width - len(steps))], dtype=torch.int64)
        self.alive = [True] * len(states)
        for slot, state in enumerate(states):
            self._move_in(slot, state)

    @torch.no_grad()
    def _move_in(self, slot: int, state: State) -> None:
        own = self.rule.started(state.optimizer)
        for i, parameter in enumerate(state.model.parameters()):
            of = own[parameter]
            parameter.data = self._filled(self.values[i], slot, parameter)
            for key, stacked in zip(self.rule.moments, self.moments, strict=True):
                if key in of:  # without momentum, SGD keeps none
                    of[key] = self._filled(stacked[i], slot, of[key])

    @staticmethod
    def _filled(stacked: Tensor, slot: int, tensor: Tensor) -> Tensor:
        place = stacked.detach()[slot]
        return place.copy_(tensor.detach())

    def note_steps(self, count: int) -> None:
        """Tell the optimizers of all runs that are trained that they have made `count` further steps."""
        for slot, state in enumerate(self.states):
            if not self.alive[slot]:
                continue
            self.steps[slot] += count
            for parameter in state.model.parameters():
                own = state.optimizer.state[parameter]
                if "step" in own:
                    own["step"].fill_(int(self.steps[slot]))

    @torch.no_grad()
    def freeze(self, slot: int) -> None:
        """Make a slot idle. Its run keeps the weights it has, in tensors of its own."""
        state, self.alive[slot] = self.states[slot], False
        for parameter in state.model.parameters():
            parameter.data = parameter.data.clone()
            own = state.optimizer.state[parameter]
            own.update({key: value.clone() for key, value in own.items() if isinstance(value, Tensor)})
        for stacked in (self.values, *self.moments):
            for tensor in stacked:
                tensor[slot].zero_()


def _stacked(width: int, like: Tensor) -> Tensor:
    """Zeros (width, *shape), each slot aligned."""
    size = math.ceil(like.numel() / UNIT) * UNIT
    return torch.zeros(width, size, dtype=like.dtype, device=like.device)[:, : like.numel()].view(width, *like.shape)


def aligned(stacked: Tensor) -> Tensor:
    """The same numbers, (width, ...), with each slot at an aligned place of memory if they are on the CPU."""
    if stacked.device.type != "cpu" or (stacked.is_contiguous() and stacked[0].numel() % UNIT == 0):
        return stacked
    return _stacked(len(stacked), stacked[0]).copy_(stacked)


def column(of_runs: Tensor, like: Tensor) -> Tensor:
    """Numbers of runs, (width,), in the form that acts on a stacked tensor (width, ...)."""
    return of_runs.view(-1, *[1] * (like.dim() - 1))


def total(stacked: Tensor) -> Tensor:
    """The sum over the numbers of each run, (width,), of a stacked tensor."""
    return stacked.flatten(1).sum(dim=1)
