"""Train the runs of a crew, each with its own files. In lockstep: one epoch of all, then the records of each."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch

from study.measures.described import Described, describe_stacked
from study.randomness import Stream, torch_seed
from study.training.epochs import Epochs, Outcome, Trained, Training
from study.training.lockstep.draws import MASK
from study.training.lockstep.epoch import Lockstep
from study.training.lockstep.inputs import Examples
from study.training.lockstep.rules import RULES
from study.training.lockstep.scores import Scores
from study.training.lockstep.stack import Stack
from study.training.loop_choice import width_of

# Called with the number of a run in its crew, and how it ended.
OnEnd = Callable[[int, Outcome], None]


@dataclass
class _Member:
    """A run of a crew.

    Attributes:
        number: in the crew.
        epochs: the run under way.
        random: state of torch's global generator on the CPU, as the run has left it.
        training: what the run asks to train for an epoch; None once it has ended.
        slot: in the stack.
    """

    number: int
    epochs: Epochs
    random: torch.Tensor
    training: Training | None = None
    slot: int = 0


def train_alone(run: Epochs) -> Outcome:
    """Train one run, as `run.begin_run` returns it; return how it ended. The errors are those of `train_together`."""
    outcomes: list[Outcome] = []
    train_together([run], lambda _, outcome: outcomes.append(outcome))
    return outcomes[0]


def train_together(runs: Sequence[Epochs], on_end: OnEnd) -> None:
    """Train runs until all have ended: one after the other, or together if they are in lockstep.

    Args:
        runs: as `run.begin_run` returns them. Those in lockstep are of one group (see `lockstep.fits`), and at most as
            many as their path has slots.
        on_end: called when a run has ended, in whatever state.

    Raises:
        KeyboardInterrupt, MachineFaultError: the runs have been stopped; each that had begun is marked as interrupted.
    """
    members = [_Member(number, epochs, torch.get_rng_state()) for number, epochs in enumerate(runs)]
    with ThreadPoolExecutor(max_workers=1) as writer:
        try:
            for member in members:
                _go_on(member, None, on_end)
            crew = [member for member in members if member.training is not None]
            if crew:
                _train(crew, on_end, writer)
        except BaseException:
            for member in members:
                _stop(member, on_end)
            raise


def _train(crew: Sequence[_Member], on_end: OnEnd, writer: Executor) -> None:
    """Train the runs that have begun, epoch by epoch."""
    for slot, member in enumerate(crew):
        member.slot = slot
        assert member.training is not None
        member.training.companions = len(crew)
    try:
        lockstep, scores = _stacked(crew)
    except Exception as error:  # no memory for all of them, say
        _fail(crew, error, on_end)
        return
    if computes_beside(lockstep.device):
        for member in crew:
            if member.training is not None:
                member.training.folder.write_beside(writer)
    while active := [member for member in crew if member.training is not None]:
        began = time.perf_counter()
        for member in active:
            lockstep.generators[member.slot].set_state(member.random)
        try:
            objectives = lockstep.train_epoch()
            trained = time.perf_counter()
            scored = scores.of_epoch(lockstep, [member.slot for member in active])
        except Exception as error:  # the user's own regularizer may raise anything
            _fail(active, error, on_end)
            return
        beside = computes_beside(lockstep.device)
        described = Descriptions(lockstep.stack, [member.slot for member in active]) if beside else None
        training, scoring = (trained - began) / len(active), (time.perf_counter() - trained) / len(active)
        for member in active:
            member.random = lockstep.generators[member.slot].get_state()
            train, val, norm = scored[member.slot]
            weights = partial(described.of, member.slot) if described else None
            _go_on(member, Trained(objectives[member.slot], training, scoring, train, val, norm, weights), on_end)
            if member.training is None:
                lockstep.freeze(member.slot)


def computes_beside(device: torch.device) -> bool:
    """Whether a device computes beside the CPU: it then describes weights, and files are written while it trains."""
    return device.type != "cpu"


class Descriptions:
    """The weights of all runs after an epoch, described together when the first run asks."""

    def __init__(self, stack: Stack, slots: Sequence[int]):
        self.stack, self.slots = stack, slots
        self.known: dict[bool, dict[int, list[Described]]] = {}

    def of(self, slot: int, histograms: bool) -> list[Described]:
        """The parameters of one run. `histograms`: whether histograms and effective ranks are wanted too."""
        if histograms not in self.known:
            of_all = describe_stacked(self.stack.names, self.stack.values, self.slots, histograms)
            self.known[histograms] = dict(zip(self.slots, of_all, strict=True))
        return self.known[histograms][slot]


def _stacked(crew: Sequence[_Member]) -> tuple[Lockstep, Scores]:
    trainings = [member.training for member in crew if member.training is not None]
    first = trainings[0]
    config, train, width = first.config, first.splits.train, width_of(first.path)
    count = first.images or len(train)
    steps = -(-count // config.batch_size)
    lockstep = Lockstep(
        [training.state for training in trainings],
        RULES[config.optimizer["_target_"]],
        Examples.of([training.splits.train for training in trainings], width),
        train.task,
        first.classes,
        config.batch_size,
        first.images,
        width,
        [torch.Generator() for _ in trainings],
        [torch_seed(training.config.seed, Stream.DROPOUT) & MASK for training in trainings],
        [training.epoch * steps for training in trainings],
    )
    return lockstep, Scores(
        lockstep,
        Examples.of([training.scored_train for training in trainings], width),
        Examples.of([training.splits.val for training in trainings], width),
    )


def _go_on(member: _Member, trained: Trained | None, on_end: OnEnd) -> None:
    """Let a run record an epoch, and do all else until it needs the next one. Its random numbers are its own."""
    kept = torch.get_rng_state()
    torch.set_rng_state(member.random)
    try:
        member.training = next(member.epochs) if trained is None else member.epochs.send(trained)
    except StopIteration as end:
        member.training = None
        on_end(member.number, end.value)
    except BaseException:
        member.training = None
        raise
    finally:
        member.random = torch.get_rng_state()
        torch.set_rng_state(kept)


def _fail(members: Sequence[_Member], error: Exception, on_end: OnEnd) -> None:
    """Tell runs of an error of their common training: each of them fails, or is interrupted by a fault."""
    for member in members:
        if member.training is not None:
            member.training = None
            try:
                member.epochs.throw(error)
            except StopIteration as end:
                on_end(member.number, end.value)


def _stop(member: _Member, on_end: OnEnd) -> None:
    """Stop a run because another one was stopped at once, or met a fault of the machine."""
    if member.training is None:
        return
    member.training = None
    try:
        member.epochs.throw(KeyboardInterrupt())
    except StopIteration as end:
        on_end(member.number, end.value)
    except KeyboardInterrupt:
        pass  # it has marked itself as interrupted
