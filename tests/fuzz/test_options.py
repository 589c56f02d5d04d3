"""Option files of ones own with mistakes of all kinds: planned, trained, or refused in a line."""

import inspect
import shutil

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from study.config.folders import CONF
from study.sweep import command
from tests.fuzz import targets
from tests.fuzz.harness import FEW, MANY, PARTS, check_told, run
from tests.fuzz.words import words
from tests.fuzz.yaml_files import after

GROUPS = ("reg", "model", "optimizer", "schedule", "data", "experiment")
SHIPPED = {group: [file.read_text() for file in sorted((CONF / group).glob("*.yaml"))] for group in GROUPS}
SMALL = {"trials: 16": "trials: 2", "seeds: 3": "seeds: 1", "fresh: 7": "fresh: 1"}
# Of the experiments two that take no seconds to compose.
SHIPPED["experiment"] = [
    (CONF / "experiment" / "book.yaml").read_text(),
    (CONF / "experiment" / "tuned.yaml").read_text(),
]
for large, small in SMALL.items():
    SHIPPED["experiment"] = [text.replace(large, small) for text in SHIPPED["experiment"]]
OWN = [name for name, _ in inspect.getmembers(targets) if not name.startswith("_")]
TARGETS = [
    *(f"tests.fuzz.targets.{name}" for name in OWN),
    *words(
        """
        study.regularizers.penalties.L1 study.regularizers.projections.WeightDecay
        study.regularizers.Regularizer study.regularizers.early_stopping.EarlyStopping
        study.regularizers.penalties.Penalty study.models.mlp study.models.MLP study.models.linear
        study.optimizers.adam study.optimizers.sgd study.data.digits.digits study.data.fashion_mnist.mini
        study.measures.Measure study.weights.BINS torch.optim.AdamW torch.optim.SGD torch.optim.LBFGS
        torch.optim.Muon torch.optim.SparseAdam torch.optim torch.nn.Linear torch.nn.Identity torch.norm
        torch.linalg.vector_norm torch.zeros math.sqrt math.pi builtins.len builtins.dict len no.such
        tests.fuzz.no_such tests.fuzz.targets . .. λ study
        """
    ),
    *("", "a b", 3, None, True, ["math.sqrt"]),
]
KEYS = [
    *words(
        """
        lam scope schedule ramp parts power ratio others table message needed strength hidden dropout batch_norm
        width depth lr momentum weight_decay betas params parameters root split train_size label_noise seed
        seeds epochs name variants tune budget option _target_ _args_ _partial_ _recursive_ defaults reg model
        optimizer data hydra w λ a.b image_shape classes primary select allow workers batch_size
        """
    ),
    *("", "a b", 1, None, True, 2.5),
]
scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, 2, -1, 300, 0.5, 1e-4, 1e300, float("inf"), float("nan"), 10**25, "", "x y"),
        *words(
            """
            all weights .*bias ( hidden.* warmup anneal constant l1 l2 none dropout combine own mlp digits adam
            sgd book textbook holdout steps val_loss test_loss _self_ /reg l1@reg 1e-4 yes ??? λ ${ ${lam}
            ${reg.lam}
            """
        ),
        *("${nope}", "${oc.env:NOPE}", "${a:b}", "two\nlines"),
    ]
)
values = st.recursive(
    st.one_of(scalars, st.sampled_from(TARGETS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
change = st.one_of(
    st.tuples(st.just("target"), st.sampled_from(TARGETS)),
    st.tuples(st.just("set"), st.tuples(st.sampled_from(KEYS), values)),
    st.tuples(st.just("set"), st.tuples(st.sampled_from(KEYS), values)),
    st.tuples(st.just("drop"), st.integers(0, 9)),
    st.tuples(st.just("value"), st.tuples(st.integers(0, 9), values)),
    st.tuples(st.just("root"), values),
)
RAW = [
    *(
        b"",
        b"\xff\xfe_target_: x",
        b"_target_: [",
        b"\t_target_: x",
        b"a: &a [*a]",
        b"a: *b",
        b"[" * 2000,
        b"text",
        b"3",
    ),
    *(b"_target_: !!python/name:len", b"lam: 1\nlam: 2\n", b"# @package reg.lam\nlam: 1", b"# @package a b\nlam: 1"),
    *(b"---\na: 1\n---\nb: 2\n", b"_target_: x\0y", b"- 1\n- 2\n", b"%YAML 9.9\n---\na: 1", b"? [a, b]\n: 1"),
    *(b"a: 2020-13-45", b"a: 0x1G", b"defaults: [own]\n", b"defaults: [nope]\n", b"defaults: {a: b}\n"),
    *(b"defaults: [l1, l2, _self_]\nlam: 3\n", b"defaults: [override /reg: l2]\n", b"<<: {lam: 1}\n_target_: len"),
    b"# @package _global_\ndefaults: [override /reg: own]\n",
]


@st.composite
def option_files(draw):
    """A group, and the content of an option of it: one that is shipped, changed."""
    group = draw(st.sampled_from(GROUPS))
    if draw(st.integers(0, 11)) == 0:
        return group, draw(st.sampled_from(RAW))
    text = draw(st.sampled_from(SHIPPED[group]))
    content = yaml.safe_load(text)
    content = after(draw(st.lists(change, min_size=1, max_size=3)), content)
    header = "# @package _global_\n" if text.startswith("# @package") else ""
    return group, (header + yaml.safe_dump(content, allow_unicode=True)).encode()


def planned_or_trained(place, before, group, content, trains, monkeypatch):
    file = place / "mine" / group / "own.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    few = ("data=digits",) if group != "data" else ()
    arguments = ["--config-dir=mine", *few, f"{group}=own", "name=own", "workers=1"]
    shown = f"{group}/own.yaml\n{content.decode(errors='replace')}"
    try:
        result = run([*arguments, "dry_run=true"], place)
        check_told(result, [shown, *arguments], of_the_user=True)
        if trains and result.code == 0 and result.out.count("would train") == 1:
            tiny = ("epochs=1", "data.train_size=50", "model.hidden=[5]")
            tiny = tiny[: 2 if group in ("model", "experiment") else 3]
            with monkeypatch.context() as patch:
                patch.setattr(command.Command, "_train_tasks", TRAIN)
                check_told(run([*arguments, *tiny], place), [shown, *arguments], of_the_user=True)
    except AssertionError as error:
        raise AssertionError(f"{shown}\n{error}") from None
    finally:
        file.unlink()
        shutil.rmtree(place / "outputs" / "own", ignore_errors=True)
    assert not before.changed()
    assert not before.new()


TRAIN = command.Command._train_tasks


@FEW
@example(file=("optimizer", b"_target_: []\nlr: 1e-3\n"), choice=1)
@given(file=option_files(), choice=st.integers(0, 4))
def test_an_option_file_is_used_or_refused(place, before, monkeypatch, file, choice):
    planned_or_trained(place, before, *file, choice == 0, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@MANY
@given(file=option_files(), choice=st.integers(0, 9))
def test_many_option_files_are_used_or_refused(place, before, monkeypatch, part, file, choice):
    planned_or_trained(place, before, *file, choice == 0, monkeypatch)
