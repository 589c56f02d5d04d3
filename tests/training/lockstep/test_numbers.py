"""Runs in lockstep have the numbers of the general loop, and each run's numbers do not depend on its companions."""

import pytest
import torch

from study.data import Part
from study.data.digits import digits
from study.data.splits import load_splits
from study.models import MLP, convolutional
from study.training import general
from study.training.lockstep.draws import Counted
from study.training.lockstep.replay import Replay
from tests.training.lockstep.crews import NEEDS_METRIC, OPTIMIZERS, REGULARIZERS, in_lockstep, make_run, weights

SLOW = pytest.mark.slow


def images(dtype):
    options = {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0}
    splits = load_splits(digits(), options, seed=0, device=torch.device("cpu"))
    return Part(splits.train.images.to(dtype), splits.train.labels)


@pytest.fixture(scope="module")
def doubles():
    return images(torch.float64)


@pytest.fixture(scope="module")
def singles():
    return images(torch.float32)


def mlp(dropout):
    return MLP(64, [20, 15], 10, dropout=dropout)


def names_for(optimizer):
    known = optimizer in ("adam", "sgd", "momentum")
    return [name for name in REGULARIZERS if known or name not in NEEDS_METRIC]


@pytest.mark.parametrize(
    ("optimizer", "epochs"), [("adam", 2), *(pytest.param(name, 8, marks=SLOW) for name in OPTIMIZERS)]
)
def test_each_run_agrees_with_the_general_loop_over_200_steps(doubles, optimizer, epochs):
    """Each regularizer in one stack; 510 images in batches of 20 are 26 steps an epoch, the last of 10 images.

    In every run of the tests, 52 steps.
    """
    names = names_for(optimizer)
    alone = [make_run(i, name, optimizer, doubles, mlp) for i, name in enumerate(names)]
    together = [make_run(i, name, optimizer, doubles, mlp) for i, name in enumerate(names)]
    lockstep = in_lockstep(together, optimizer)
    for _ in range(epochs):
        objectives = lockstep.train_epoch()
        for run, name, objective in zip(alone, names, objectives, strict=True):
            torch.set_rng_state(run.draws.get_state())
            expected = general.train_epoch(run.state, run.train, 20)
            run.draws.set_state(torch.get_rng_state())
            assert objective == pytest.approx(expected, rel=1e-9), name
    for one, other, name in zip(alone, together, names, strict=True):
        for p, q in zip(weights(one), weights(other), strict=True):
            # Relative to the largest weight: Adam divides gradients of dead units, which are rounding, by their size.
            assert float((q - p).abs().max()) <= 1e-9 * float(p.abs().max()), name


@pytest.mark.filterwarnings("error")
def test_runs_have_schedules_limits_of_the_gradient_and_scopes_of_their_own(doubles):
    """Some have, and others have not; none disturbs the user with a warning of torch's."""

    def crew():
        return [
            make_run(0, "l1", "adam", doubles, mlp, schedule=True),
            make_run(1, "l2", "adam", doubles, mlp, scope="weights", clip_norm=0.3),
            make_run(2, "l1", "adam", doubles, mlp, scope="output.*", schedule=True, clip_norm=0.5),
            make_run(3, "group_lasso", "adam", doubles, mlp, scope="weights"),
            make_run(4, "none", "adam", doubles, mlp),
        ]

    alone, together = crew(), crew()
    lockstep = in_lockstep(together, "adam")
    for _ in range(2):
        objectives = lockstep.train_epoch()
        for run, objective in zip(alone, objectives, strict=True):
            assert objective == pytest.approx(general.train_epoch(run.state, run.train, 20), rel=1e-9)
    for one, other in zip(alone, together, strict=True):
        assert other.state.optimizer.param_groups[0]["lr"] == one.state.optimizer.param_groups[0]["lr"]


def bytes_of(run):
    return b"".join(weight.numpy().tobytes() for weight in weights(run))


def moments_of(run):
    of_each = run.state.optimizer.state.values()
    return [value.contiguous().clone() for own in of_each for value in own.values() if isinstance(value, torch.Tensor)]


def trained(runs, optimizer, epochs=2, **how):
    lockstep = in_lockstep(runs, optimizer, **how)
    objectives = [lockstep.train_epoch() for _ in range(epochs)]
    return {run.number: (bytes_of(run), own) for run, own in zip(runs, zip(*objectives, strict=True), strict=True)}


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("momentum", marks=SLOW)])
@pytest.mark.parametrize("hidden", [[20, 15], pytest.param([], marks=SLOW), pytest.param([129], marks=SLOW)], ids=str)
def test_the_bytes_of_a_run_are_the_same_alone_and_with_other_companions_in_another_slot(singles, hidden, optimizer):
    model = lambda dropout: MLP(64, hidden, 10, dropout=dropout)  # noqa: E731
    names = [n for n in names_for(optimizer) if hidden or n not in ("group_lasso", "max_norm")]

    def crew(numbers):
        return [make_run(number, names[number], optimizer, singles, model) for number in numbers]

    shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(1)).tolist()
    together = trained(crew(range(len(names))), optimizer)
    assert trained(crew(shuffled), optimizer) == together
    for number in (0, 1, len(names) - 1):
        assert trained(crew([number]), optimizer)[number] == together[number], names[number]


@pytest.mark.parametrize("activation", ["tanh", "gelu", "silu"])
def test_an_odd_number_of_slots_and_units_makes_no_difference_between_slots(singles, activation):
    """Where vectors of the CPU end within a slot, torch computes the rest in another way."""

    def crew(numbers):
        model = lambda dropout: MLP(64, [13], 10, activation=activation, dropout=dropout)  # noqa: E731
        names = ("l1", "none", "dropout", "l2", "l2")
        return [make_run(number, names[number], "adam", singles, model) for number in numbers]

    how = {"epochs": 2, "width": 5, "batch_size": 7}
    together = trained(crew([0, 1, 2, 3, 4]), "adam", **how)
    assert trained(crew([4, 3, 2, 1, 0]), "adam", **how) == together
    assert trained(crew([4]), "adam", **how)[4] == together[4]


def test_a_run_that_diverges_does_not_disturb_its_companions(singles):
    runs = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(("l2", "none", "l1"))]
    broken = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(("l2", "none", "l1"))]
    with torch.no_grad():
        broken[1].state.model.output.bias.fill_(float("inf"))
    expected, found = trained(runs, "adam"), trained(broken, "adam")
    assert not all(weight.isfinite().all() for weight in weights(broken[1]))
    assert [found[0], found[2]] == [expected[0], expected[2]]


def test_a_frozen_run_keeps_its_weights_and_the_others_go_on(singles):
    runs = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(("l2", "dropout", "mixup"))]
    same = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(("l2", "dropout", "mixup"))]
    lockstep = in_lockstep(runs, "adam")
    lockstep.train_epoch()
    lockstep.freeze(1)
    kept, moments = bytes_of(runs[1]), moments_of(runs[1])
    lockstep.train_epoch()
    assert bytes_of(runs[1]) == kept
    for one, other in zip(moments_of(runs[1]), moments, strict=True):
        assert torch.equal(one, other)
    expected = trained(same, "adam")
    assert [bytes_of(runs[i]) for i in (0, 2)] == [expected[i][0] for i in (0, 2)]


@pytest.mark.parametrize("batch_size", [20, 600], ids=["", "one short batch"])
def test_steps_from_tables_are_the_steps_one_by_one(singles, batch_size):
    """On accelerators, an epoch is a row of steps that read what differs from tables."""
    names = [name for name in names_for("adam") if name not in ("dropout", "mixup", "noise")]
    results = []
    for by_tables in (False, True):
        runs = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(names)]
        lockstep = in_lockstep(runs, "adam", batch_size=batch_size)
        if by_tables:
            lockstep._by_steps = lockstep._by_tables
        objectives = [lockstep.train_epoch() for _ in range(2)]
        results.append((objectives, [bytes_of(run) for run in runs]))
    assert results[0] == results[1]


def test_steps_that_cannot_be_captured_are_made_one_by_one(singles, monkeypatch):
    """Steps in which libraries warm up leave no trace in the weights and moments."""

    def broken(replay):
        replay._one(20)
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    names, results = ("l1", "l2"), []
    monkeypatch.setattr(Replay, "_capture", broken)
    for capturing in (False, True):
        runs = [make_run(i, name, "adam", singles, mlp) for i, name in enumerate(names)]
        lockstep = in_lockstep(runs, "adam")
        if capturing:
            make = Replay.__init__

            def capturing_here(self, *given):
                make(self, *given)  # noqa: B023
                self._try_to_capture(given[-1])

            monkeypatch.setattr(Replay, "__init__", capturing_here)
            lockstep._by_steps = lockstep._by_tables
            with pytest.warns(UserWarning, match="slower: operation not permitted when stream is capturing$"):
                lockstep.train_epoch()
        else:
            lockstep.train_epoch()
        results.append([bytes_of(run) for run in runs])
    assert results[0] == results[1]


def test_draws_by_counters_are_those_of_their_distributions_and_of_their_run_alone():
    """What accelerators draw: of each run and step its own, with the mean and the variance that it should have."""
    keys = torch.tensor([7, 8, 7])
    draws, like = Counted(keys), torch.zeros(3, 400, 100)
    draws.start_step(torch.tensor([5, 5, 6]))
    rates = torch.tensor([0.3, 0.3, 0.0])
    kept = draws.kept(rates.tolist(), rates, 0, like)
    assert torch.equal(kept[2], torch.ones(400, 100))
    assert kept[0].unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert float((kept[0] == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    normal = draws.normal([0, 1, 2], like)
    assert float(normal[0].mean()) == pytest.approx(0, abs=0.02)
    assert float(normal[0].std()) == pytest.approx(1, abs=0.02)
    for one, other in ((0, 1), (0, 2)):  # of another run, and of another step
        assert abs(float(torch.corrcoef(torch.stack([normal[one].flatten(), normal[other].flatten()]))[0, 1])) < 0.02
    assert torch.equal(draws.order([0], 3, 50, like.device).sort(dim=1).values, torch.arange(50).repeat(3, 1))
    alone = Counted(keys[1:2])
    alone.start_step(torch.tensor([5]))
    assert torch.equal(alone.normal([0], like[:1])[0], normal[1])


def cnn(dropout):
    return convolutional.cnn((8, 8), 10, dropout=dropout)


def test_other_models_agree_with_the_general_loop_too(doubles):
    names = ("none", "l1", "weight_decay", "label_smoothing", "max_norm")
    alone = [make_run(i, name, "adam", doubles, cnn) for i, name in enumerate(names)]
    together = [make_run(i, name, "adam", doubles, cnn) for i, name in enumerate(names)]
    objectives = in_lockstep(together, "adam", width=8, batch_size=100).train_epoch()
    for run, name, objective in zip(alone, names, objectives, strict=True):
        assert objective == pytest.approx(general.train_epoch(run.state, run.train, 100), rel=1e-9), name


def test_the_bytes_of_other_models_do_not_depend_on_the_slot(singles):
    def crew(numbers):
        names = ("l1", "none", "l2", "noise", "mixup")
        return [make_run(number, names[number], "adam", singles, cnn) for number in numbers]

    together = trained(crew(range(5)), "adam", epochs=1, width=8, batch_size=100)
    assert trained(crew([3, 0, 4, 2, 1]), "adam", epochs=1, width=8, batch_size=100) == together
    assert trained(crew([2]), "adam", epochs=1, width=8, batch_size=100)[2] == together[2]
