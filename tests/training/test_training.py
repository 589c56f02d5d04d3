"""The loop does what a plain loop does, and variants of one seed differ in nothing but their regularizer."""

import copy
import math
import re

import pytest
import torch
import torch.nn.functional as F

from study import optimizers
from study.cli import startup
from study.data import Part, load_splits
from study.data.digits import digits
from study.measures.scoring import score
from study.models import MLP
from study.randomness import Stream, global_stream, torch_generator
from study.regularizers.averaging import EMA
from study.regularizers.data_side import LabelSmoothing, Noise
from study.regularizers.penalties import L1, L2, ElasticNet, FunctionPenalty, L2Norm, Unpenalized
from study.regularizers.projections import GroupLasso, L1Proximal, MaxNorm, WeightDecay
from study.regularizers.sam import SAM
from study.training import general
from study.training.compiled import any_model, mlp
from study.training.general import penalty_and_gradient_ratio
from study.training.state import State
from tests.conftest import first_fast, run_command
from tests.regularizers.regularizing import combined

PENALTIES = {
    "none": (Unpenalized(), lambda p: 0 * p.sum()),
    "l1": (L1(), lambda p: p.abs().sum()),
    "l2": (L2(), lambda p: (p * p).sum()),
    "l2_norm": (L2Norm(), torch.linalg.vector_norm),
    "elastic_net": (ElasticNet(0.3), lambda p: 0.3 * p.abs().sum() + 0.7 * (p * p).sum()),
}
OPTIMIZERS = {
    "adam": (lambda p: optimizers.adam(p, lr=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)),
    "sgd": (
        lambda p: optimizers.sgd(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ),
}


@pytest.fixture(scope="module")
def train():
    splits = load_splits(
        digits(),
        {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0},
        seed=0,
        device=torch.device("cpu"),
    )
    return Part(splits.train.images.double(), splits.train.labels)


# Of loops that know no layers, one model is enough.
LOOPS = [(general, [20, 15]), (any_model, [20, 15]), (mlp, [30]), (mlp, []), (mlp, [20, 15])]


@pytest.mark.parametrize(("loop", "hidden"), LOOPS, ids=lambda part: str(getattr(part, "PATH", part)))
@pytest.mark.parametrize("optimizer", first_fast(OPTIMIZERS))
@pytest.mark.parametrize("penalty", PENALTIES)
def test_each_loop_agrees_with_a_plain_autograd_loop_over_200_steps(train, penalty, optimizer, loop, hidden):
    """In float64; 1,249 images in batches of 25 are 50 steps an epoch, the last of 24 images."""
    lam, batch_size = 1e-3, 25
    torch.manual_seed(0)
    ours = MLP(64, hidden, 10).double()
    plain = copy.deepcopy(ours)
    ours_penalty, formula = PENALTIES[penalty]
    make_ours, make_plain = OPTIMIZERS[optimizer]
    regularizer = combined(ours_penalty, lam, ours)
    optimizer, reference = make_ours(ours.parameters()), make_plain(plain.parameters())
    order, same_order = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    for _ in range(4):
        objective = loop.train_epoch(State(ours, regularizer, optimizer, order), train, batch_size)
        losses = []
        for rows in torch.randperm(len(train), generator=same_order).split(batch_size):
            reference.zero_grad()
            loss = F.cross_entropy(plain(train.images[rows]), train.labels[rows])
            loss = loss + lam * sum(formula(p) for p in plain.parameters())
            loss.backward()
            reference.step()
            losses.append(loss.item())
        assert objective == pytest.approx(sum(losses) / len(losses), rel=1e-9)
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def wide_images(share_of_background, count=200, inputs=150):
    """More pixels than a strip of the compiled products has, and rows in an order of their own."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(count, inputs, generator=generator, dtype=torch.float64)
    images[torch.rand(count, inputs, generator=generator) < share_of_background] = 0
    images[7], images[:, 11] = 0, 0  # an image, and a pixel, that are all background
    labels = torch.randint(0, 10, (count,), generator=generator)
    return Part(images, labels, torch.randperm(count, generator=generator)[:180])


@pytest.mark.parametrize("batch_size", [50, 180], ids=["", "more than a strip"])
@pytest.mark.parametrize("hidden", [[300], [], [129, 15]], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.0, 1.0], ids=["half", "no", "all"])
def test_background_makes_no_difference_to_the_compiled_loop_and_its_scores(share, hidden, batch_size):
    part, results = wide_images(share), []
    for loop in (general, mlp):
        torch.manual_seed(1)
        model = MLP(150, hidden, 10).double()
        regularizer = combined(GroupLasso() if hidden else L2(), 1e-3, model)
        adam = optimizers.adam(model.parameters(), 1e-3)
        order = torch.Generator().manual_seed(5)
        objectives = [loop.train_epoch(State(model, regularizer, adam, order), part, batch_size) for _ in range(4)]
        scored = score(model, part, loop.logits_of)
        results.append([torch.tensor(objectives).double(), scored.logits, scored.losses, *model.parameters()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_moments_do_not_linger_where_a_cpu_is_slow():
    """With subnormal numbers Adam takes up to twice as long; outside the compiled loop they are left alone."""
    part = Part(torch.zeros(8, 5), torch.zeros(8, dtype=torch.int64))
    model = MLP(5, [3], 2)
    adam = optimizers.adam(model.parameters(), 1e-3)
    order = torch.Generator().manual_seed(0)
    for moment in (0.0, 1e-39):
        first = model.hidden[0].weight
        if moment:
            adam.state[first]["exp_avg"].fill_(moment)
        mlp.train_epoch(State(model, combined(Unpenalized(), 0.0, model), adam, order), part, 4)
    assert (adam.state[first]["exp_avg"] == 0).all()
    assert torch.tensor(1e-39) * 0.9 != 0


# With λ and scope; where there is no plain formula for a step, the general loop is the reference.
IN_STEP = {
    "l1 in a scope": (L1(), 0.01, {"hidden.0.weight": 1.0, "output.bias": 3.0}),
    "l1_proximal": (L1Proximal(), 1e-3, "all"),
    "l1_proximal in a scope": (L1Proximal(), 1e-3, {"weights": 1.0, ".*bias": 0.1}),
    "weight_decay": (WeightDecay(), 0.5, "all"),
    "group_lasso": (GroupLasso(), 3e-3, "all"),
    "group_lasso without biases": (GroupLasso(), 3e-3, "weights"),
    "max_norm": (MaxNorm(), 0.7, "all"),
    "label_smoothing": (LabelSmoothing(), 0.2, "all"),
}


@pytest.mark.parametrize("hidden", [[30], [20, 15]], ids=str)
@pytest.mark.parametrize("optimizer", first_fast(OPTIMIZERS))
@pytest.mark.parametrize("name", IN_STEP)
def test_loops_agree_over_200_steps_on_what_acts_within_a_step(train, name, optimizer, hidden):
    results = []
    regularizer, lam, scope = IN_STEP[name]
    steps_fit = any_model.fits([regularizer], "study.optimizers.adam", "cpu")
    for loop in (general, mlp, *[any_model] * steps_fit):
        torch.manual_seed(1)
        model = MLP(64, hidden, 10).double()
        hooks = combined(regularizer, lam, model, scope)
        stepped, order = OPTIMIZERS[optimizer][0](model.parameters()), torch.Generator().manual_seed(5)
        objectives = [loop.train_epoch(State(model, hooks, stepped, order), train, 25) for _ in range(4)]
        results.append([torch.tensor(objectives, dtype=torch.float64), *model.parameters()])
    for compiled in results[1:]:
        for p, q in zip(results[0], compiled, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
            assert name not in ("l1_proximal", "group_lasso") or torch.equal(p == 0, q == 0)


def test_the_compiled_loop_is_for_what_it_knows_alone():
    model, adam, cpu = MLP(4, [3], 2), "study.optimizers.adam", "cpu"
    fits = mlp.fits
    assert fits(model, [L1(), L2(), L1Proximal()], adam, cpu)
    assert not fits(model, [L1()], adam, "cuda")
    assert not fits(model, [L1()], "my_optimizers.adam", cpu)
    assert not fits(model, [FunctionPenalty(lambda w: w.abs().sum())], adam, cpu)
    assert not fits(model, [Noise()], adam, cpu)
    assert not fits(model, [L1Proximal(), MaxNorm()], adam, cpu)
    assert not fits(model, [L1(), WeightDecay()], adam, cpu)
    assert fits(model, [WeightDecay()], adam, cpu)
    assert not fits(model, [WeightDecay(independent=True)], adam, cpu)
    assert not fits(model, [SAM()], adam, cpu)
    assert not fits(model, [EMA()], adam, cpu)
    assert not fits(torch.nn.Linear(4, 2), [L1()], adam, cpu)
    assert not fits(MLP(4, [3], 2, dropout=0.5), [L1()], adam, cpu)
    assert not fits(MLP(4, [3], 2, norm="batch"), [L1()], adam, cpu)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_compiled_loop_leaves_the_optimizer_as_its_own_steps_would(train, optimizer):
    """So that a checkpoint of either loop is the same thing."""
    states = []
    for loop in (general, any_model, mlp):
        torch.manual_seed(1)
        model = MLP(64, [30], 10).double()
        regularizer = combined(L2(), 0.01, model)
        stepped = OPTIMIZERS[optimizer][0](model.parameters())
        loop.train_epoch(State(model, regularizer, stepped, torch.Generator().manual_seed(5)), train, 32)
        states.append(stepped.state_dict())
    for compiled in states[1:]:
        torch.testing.assert_close(states[0], compiled, rtol=1e-9, atol=1e-12)


def test_weights_that_nothing_pulls_stay_where_they_are_in_float32(train):
    """Adam divides by √v: pixels that are always 0 have v = 0, which must not become NaN."""
    model = MLP(64, [30], 10)
    start = model.hidden[0].weight.detach().clone()
    part = Part(train.images.float(), train.labels)
    regularizer = combined(Unpenalized(), 0.0, model)
    state = State(model, regularizer, optimizers.adam(model.parameters(), 0.1), torch.Generator())
    mlp.train_epoch(state, part, 32)
    dark = part.images.flatten(1).amax(dim=0) == 0
    assert dark.any()
    assert torch.equal(model.hidden[0].weight[:, dark], start[:, dark])
    assert not torch.equal(model.hidden[0].weight, start)


def test_a_loss_that_is_not_finite_shows_in_the_compiled_loop_too(train):
    model = MLP(64, [30], 10)
    part = Part(train.images.float(), train.labels)
    regularizer = combined(L2(), 1e30, model)
    sgd = optimizers.sgd(model.parameters(), 1e10)
    assert not math.isfinite(mlp.train_epoch(State(model, regularizer, sgd, torch.Generator()), part, 32))


def test_float32_losses_of_the_compiled_loop_are_the_general_ones_to_1e_4(train):
    part = Part(train.images.float(), train.labels)
    for penalty, _ in PENALTIES.values():
        objectives = []
        for loop in (general, any_model, mlp):
            torch.manual_seed(1)
            model = MLP(64, [30], 10)
            regularizer = combined(penalty, 0.001, model)
            adam = optimizers.adam(model.parameters(), lr=1e-3)
            order = torch.Generator().manual_seed(5)
            objectives.append([loop.train_epoch(State(model, regularizer, adam, order), part, 32) for _ in range(5)])
        for compiled in objectives[1:]:
            assert compiled == pytest.approx(objectives[0], rel=1e-4)


def test_variants_of_one_seed_start_alike_and_see_the_same_batches():
    starts, batches = [], []
    for dropout_draws in (0, 7):  # a variant that draws from another stream disturbs neither
        with global_stream(3, Stream.INITIALIZATION):
            starts.append(MLP(64, [30], 10).state_dict())
        order = torch_generator(3, Stream.BATCH_ORDER)
        with global_stream(3, Stream.DROPOUT):
            torch.rand(dropout_draws)
            batches.append(torch.stack([torch.randperm(100, generator=order) for _ in range(3)]))
    for key in starts[0]:
        assert torch.equal(starts[0][key], starts[1][key])
    assert torch.equal(*batches)
    assert not torch.equal(batches[0][0], batches[0][1])


def test_the_scorer_is_in_eval_mode_and_leaves_the_mode_alone():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.Dropout(0.9))
    part = Part(torch.rand(2500, 2, 2), torch.randint(0, 3, (2500,)))
    model.train()
    scored = score(model, part)
    first, predictions = scored.score(), scored.predictions()
    assert score(model, part).score() == first
    assert model.training
    logits = model[1](part.images.flatten(1)).detach()
    assert first.loss == pytest.approx(F.cross_entropy(logits, part.labels).item(), rel=1e-5)
    assert first.accuracy == pytest.approx((logits.argmax(1) == part.labels).float().mean().item())
    probability = logits.softmax(1).gather(1, part.labels[:, None])[:, 0]
    torch.testing.assert_close(predictions.probability, probability)


@pytest.mark.parametrize(("loop", "hidden"), LOOPS, ids=lambda part: str(getattr(part, "PATH", part)))
def test_gradient_ratio_is_the_ratio_of_the_two_norms(train, loop, hidden):
    model = MLP(64, hidden, 10).double()
    train = Part(train.all_images.double(), train.all_labels, train.rows)
    regularizer = combined(L2(), 0.01, model)
    value, ratio = penalty_and_gradient_ratio(model, regularizer, train, loop.data_gradient_norm)
    penalty = 0.01 * sum((p**2).sum() for p in model.parameters())
    data = F.cross_entropy(model(train.images[:1000]), train.labels[:1000])
    norms = [
        torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))]).norm()
        for value in (penalty, data)
    ]
    assert ratio == pytest.approx(float(norms[0] / norms[1]), rel=1e-9)
    assert value == pytest.approx(float(0.01 * sum((p.detach() ** 2).sum() for p in model.parameters())), rel=1e-9)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_compiled_code_gives_the_same_bytes_whenever_it_was_compiled(tmp_path):
    """In the process that compiles it and from the cache, for one depth and for several."""
    cold = {"NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    quick = ("reg=l1", "data=digits", "epochs=1")
    for name, hidden in (("one", "[40]"), ("both", "[40,20],[40]"), ("two", "[40,20]")):
        result = run_command("-m", *quick, f"model.hidden={hidden}", f"name={name}", cwd=tmp_path, **cold)
        assert result.code == 0, result.err
    content = {}
    for weights in sorted((tmp_path / "outputs").glob("*/*/weights.csv")):
        content.setdefault(weights.parent.name[-12:], []).append(weights.read_bytes())
    assert [len(copies) for copies in content.values()] == [2, 2]
    for one, other in content.values():
        assert one == other


def test_whatever_is_compiled_has_a_part_in_the_name_of_its_cache():
    """Numba looks at the file of the outermost function alone: what has been inlined would go stale."""
    sources = {file: file.read_text() for file in startup.PACKAGE.rglob("*.py")}
    decorated = re.compile(r"^(@|\w+ = )(inlined|compiled|intrinsic|njit)\b", re.MULTILINE)
    covered = set(startup.PACKAGE.glob(startup.COMPILED))
    assert {file for file, text in sources.items() if decorated.search(text)} <= covered
