"""Every option with the defaults, and a sample that covers every pair of choices, trains, resumes and repeats."""

import itertools

import pytest

from study.config.folders import CONF
from study.errors import ConfigError
from study.records.comparison import differing
from study.training.crew import train_alone
from study.training.loop_choice import choose_loops
from study.training.run import begin_run
from study.training.task import Task
from tests.config.test_identity import config, resolved

REGS = sorted(file.stem for file in (CONF / "reg").glob("*.yaml"))
REGS += [
    "weight_decay reg.independent=true lam=1e-3",  # another loop trains it
    "combine reg.parts=[{reg:l1_proximal,lam:1e-4},{reg:sam},{reg:ema,lam:0.9}]",
]
MODELS = {
    "mlp": ["model.hidden=[8]"],
    "deep": ["model.hidden=[8,6]"],
    "dropout": ["model.hidden=[8]", "model.dropout=0.3"],
    "batch_norm": ["model.hidden=[8]", "model.norm=batch"],
    "tanh": ["model.hidden=[8]", "model.activation=tanh", "model.norm=layer"],
    "linear": ["model=linear"],
    "cnn": ["model=cnn"],
    "vit": ["model=vit_tiny", "model.width=8", "model.heads=2", "model.depth=1"],
}
CHOICES = {
    "reg": REGS,
    "model": list(MODELS),
    "data": ["digits", "fashion_mnist_mini", "diabetes"],  # the last one is a regression, and has no images
    "split": ["holdout", "textbook"],
    "optimizer": ["adam", "sgd", "sgd optimizer.momentum=0.9"],
    "step": ["schedule=constant", "schedule=cosine schedule.warmup=1", "schedule=step schedule.every=1 clip_norm=0.5"],
    "precision": ["float32", "bfloat16", "float64"],
    "scope": ["all", "weights", "{.*weight:1,.*bias:0.5}", "Linear"],
    "schedule": ["constant", "warmup", "anneal"],
    "batch_size": [32, 45],
    "budget": ["epochs", "steps"],
    "label_noise": [0.0, 0.2],
    "loop": ["general", "fastest"],
}
DEFAULTS = {key: values[0] for key, values in CHOICES.items()}


def overrides(choice):
    scoped = not choice["reg"].startswith("combine")  # whose parts have these
    return [
        *f"reg={choice['reg']}".split(),
        *MODELS[choice["model"]],
        f"data={choice['data']}",
        f"data.split={choice['split']}",
        "data.train_size=120",
        *f"optimizer={choice['optimizer']}".split(),
        *([f"reg.scope={choice['scope']}", f"reg.schedule={choice['schedule']}"] if scoped else []),
        *choice["step"].split(),
        f"precision={choice['precision']}",
        f"batch_size={choice['batch_size']}",
        f"budget={choice['budget']}",
        f"data.label_noise={choice['label_noise']}",
        "epochs=2",
    ]


def refusal(choice):
    """Why a choice makes no sense, in words of the message; None where it does."""
    reg, model, vectors = choice.get("reg"), choice.get("model"), choice.get("data") == "diabetes"
    if vectors and choice.get("label_noise"):
        return "it flips labels to another class"
    if reg in ("dropout", "stochastic_depth") and choice.get("schedule", "constant") != "constant":
        return f"must be constant, because the lam of reg={reg} is an option of the model"
    if model == "linear" and reg in ("group_lasso", "max_norm"):
        return "this model has no hidden units"
    if model == "linear" and reg == "activity_l1":
        return "it works on the outputs of activation functions, but this model has no hidden units"
    if reg == "stochastic_depth" and model is not None and model != "vit":
        return "has no such option. Allowed: model=resnet18, model=vit_tiny"
    if vectors and (model in ("cnn", "vit") or reg in ("stochastic_depth", "augment", "cutmix", "cutout")):
        return "requires images, and the examples of this data set have the shape (10,)"
    if vectors and reg in ("label_smoothing", "confidence_penalty"):
        return "data=diabetes is for regression"
    if model == "tanh" and reg == "batch_norm":
        return "contradicts reg="
    if model == "linear" and reg in ("dropout", "batch_norm", "combine"):
        return "and model=linear has no such option"
    if model == "batch_norm" and reg == "gradient_penalty":
        return "the loss of an example depends on the rest of its batch"
    if model == "dropout" and reg in ("dropout", "combine"):
        return "contradicts reg="
    return None


def pairs_of(choice):
    return set(itertools.combinations(sorted(choice.items(), key=lambda item: list(CHOICES).index(item[0])), 2))


def covering_sample():
    """Choices that hold every pair of two keys' values that makes sense: each takes what covers most of the rest."""
    pairs = [
        {one: a, other: b}
        for one, other in itertools.combinations(CHOICES, 2)
        for a, b in itertools.product(CHOICES[one], CHOICES[other])
    ]
    left = set().union(*(pairs_of(pair) for pair in pairs if refusal(pair) is None))
    sample = []
    while left:
        choice = dict(min(left, key=str))
        for key in [key for key in CHOICES if key not in choice]:
            sound = [v for v in CHOICES[key] if refusal({**choice, key: v}) is None]
            choice[key] = max(sound, key=lambda v, key=key: len(pairs_of({**choice, key: v}) & left))
        sample.append({key: choice[key] for key in CHOICES})
        left -= pairs_of(choice)
    return sample


SAMPLE = covering_sample()
ALONE = [{**DEFAULTS, "reg": reg, "model": "vit" if reg == "stochastic_depth" else "mlp"} for reg in REGS]
REFUSED = [
    {**DEFAULTS, **choice}
    for reg in REGS
    for model in MODELS
    for choice in (
        {"reg": reg, "model": model, "schedule": "constant"},
        {"reg": reg, "model": model, "schedule": "warmup"},
        {"reg": reg, "model": model, "data": "diabetes"},
    )
    if refusal(choice)
]


def least(choice):
    """As much of a choice as is refused for the same reason."""
    reason = refusal(choice)
    for key in ("reg", "schedule", "data", "model"):
        rest = {other: value for other, value in choice.items() if other != key}
        choice = rest if refusal(rest) == reason else choice
    return choice


def least_first(choices):
    """Of those that are refused for the same part and reason, the first in every run of the tests, others with slow."""
    seen, marked = [], []
    for choice in choices:
        why = least({key: choice[key] for key in ("reg", "model", "data", "schedule")})
        marked.append(pytest.param(choice, marks=pytest.mark.slow) if why in seen else choice)
        seen.append(why)
    return marked


def label(choice):
    return "-".join(str(value).replace(" ", "") for key, value in choice.items() if value != DEFAULTS[key]) or "none"


SLOW = (pytest.mark.slow, (pytest.mark.slow, pytest.mark.longest))  # CI has time for every second one


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("composed")


@pytest.mark.parametrize(
    "choice", [*ALONE, *(pytest.param(choice, marks=SLOW[n % 2]) for n, choice in enumerate(SAMPLE))], ids=label
)
def test_it_trains_and_an_interrupted_run_ends_with_the_same_bytes(place, choice):
    run = resolved(*overrides(choice))
    task = Task.of(run, "variant", place / run.run_id)
    (task,) = choose_loops([task], choice["loop"], print)
    folder = place / f"{run.run_id[:12]}-{choice['loop']}"
    if not folder.exists():  # two choices may mean one run
        whole = train_alone(begin_run(task, folder, lambda epoch, row: True))
        assert whole.state == "complete", whole.cause
        broken = place / f"{folder.name}-broken"
        assert train_alone(begin_run(task, broken, lambda epoch, row: epoch < 1)).state == "interrupted"
        assert train_alone(begin_run(task, broken, lambda epoch, row: True)).state == "complete"
        assert differing(folder, broken) == []


@pytest.mark.parametrize("choice", least_first(REFUSED), ids=label)
def test_what_makes_no_sense_is_refused_with_a_reason(choice):
    with pytest.raises(ConfigError) as error:
        config(*overrides(choice))
    assert refusal(choice) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_sample_covers_every_pair_that_makes_sense():
    for one, other in itertools.combinations(CHOICES, 2):
        seen = {(choice[one], choice[other]) for choice in SAMPLE}
        possible = itertools.product(CHOICES[one], CHOICES[other])
        assert {(a, b) for a, b in possible if refusal({one: a, other: b}) is None} <= seen
