"""Figure files of ones own with mistakes of all kinds: drawn, or refused in a line; runs stay as they are."""

from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from study.analysis import command as analysis
from study.analysis import comparison
from study.analysis.drawing import draw
from study.config.folders import CONF
from tests.fuzz.harness import FEW, MANY, PARTS, check_told, run
from tests.fuzz.words import words
from tests.fuzz.yaml_files import after

SHIPPED = [yaml.safe_load(file.read_text()) for file in sorted((CONF / "figure").glob("*.yaml"))]
OPTIONS = sorted({key for figure in SHIPPED for key in figure} - {"_target_"})
KEYS = [
    *OPTIONS,
    *words("panel filter share units colour title message size figsize view nope λ"),
    3,
]
OWN = ("sound", "of_nothing", "raising", "without_view", "any_options", "number")
TARGETS = [
    *sorted({figure["_target_"] for figure in SHIPPED}),
    *(f"tests.fuzz.drawings.{name}" for name in OWN),
    *words(
        """
        study.analysis.figures.lines.nope study.analysis.figures.nope.lines study.analysis.figures.lines math.pi
        math.sqrt lines .. λ matplotlib.pyplot.figure builtins.dict
        """
    ),
    *("", "a b", 3, None, ["x"]),
]
COLUMNS = [
    *words(
        """
        epoch lam val_accuracy train_loss accuracy_gap weights_l2 gradient_ratio seconds objective variant reg
        seed run setting scope takes_lam checksums path state label_noise split train_images test_accuracy
        val_ece context nope model_regularizers learning_rate penalty
        """
    ),
    "",
]
scalars = st.sampled_from(
    [
        *COLUMNS,
        *(
            None,
            True,
            False,
            0,
            1,
            2,
            12,
            -1,
            0.5,
            1e-4,
            1e300,
            float("inf"),
            float("nan"),
            10**25,
            "two\nlines",
            "x y",
        ),
        *words(
            r"""
            all weights biases rms raw range interval hidden\.0\.weight output.* ( .* [ λ $x $ none l1 l2
            complete digits <b>&amp; \frac{ 1e-4 null
            """
        ),
        "x" * 200,
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*COLUMNS, 1, None]), inner, max_size=2)
    ),
    max_leaves=4,
)
change = st.one_of(
    st.tuples(st.just("target"), st.sampled_from(TARGETS)),
    *[st.tuples(st.just("set"), st.tuples(st.sampled_from(KEYS), values))] * 3,
    *[st.tuples(st.just("value"), st.tuples(st.integers(0, 9), values))] * 3,
    st.tuples(st.just("drop"), st.integers(0, 9)),
    st.tuples(st.just("root"), values),
)
RAW = [
    *(b"", b"\xff\xfe", b"_target_: [", b"[" * 2000, b"a: &a [*a]", b"- 1", b"text", b"_target_: x\0y"),
    b"_target_: !!python/name:len",
]
STYLES = sorted(file.stem for file in (CONF / "style").glob("*.yaml"))
LINES = [
    *([], ["at=best"], ["at=0"], ["filter.reg=l1"], ["filter.seed=0"], ["variants=[none]"], ["variants={l1*: $x}"]),
    *(
        ["baseline=none"],
        ["usetex=false"],
        ["at=1", "filter.reg=none"],
        *([f"style={style}"] for style in STYLES),
    ),
]


@st.composite
def figure_files(draw):
    """The content of a figure file: one that is shipped, changed."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(RAW))
    content = dict(draw(st.sampled_from(SHIPPED)))
    content = after(draw(st.lists(change, min_size=1, max_size=3)), content)
    return yaml.safe_dump(content, allow_unicode=True).encode()


def drawn_or_refused(place, before, content, line):
    file = place / "mine" / "figure" / "own.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    arguments = ["analyze", "--config-dir=mine", "name=small", "figures=[own]", *line]
    try:
        result = run(arguments, place)
        check_told(result, [content.decode(errors="replace"), *arguments], of_the_user=True)
        assert not before.changed(), content
        own = ("outputs/small/analysis/", "outputs/small/ledger.csv", "outputs/small/.")
        assert [name for name in before.new() if not name.startswith(own)] == [str(file.relative_to(place))], content
    except AssertionError as error:
        raise AssertionError(f"{content.decode(errors='replace')}\n{error}") from None
    finally:
        file.unlink()
        plt.close("all")


@pytest.fixture
def figures_alone(monkeypatch, composed_once):
    """Tables are made once for each command line; figures are laid out here, and not written."""
    make, made = comparison.make_sections, {}

    def sections(study, rows, *arguments):
        key = tuple(rows["run"]), tuple(rows["epoch"])
        if key not in made:
            made[key] = make(study, rows, *arguments)
        return made[key]

    monkeypatch.setattr(comparison, "make_sections", sections)
    monkeypatch.setattr(analysis, "write_report", lambda target, *_: target.mkdir(exist_ok=True))
    monkeypatch.setattr(analysis, "print_report", lambda *_: None)
    monkeypatch.setattr(draw, "sys", SimpleNamespace(platform="here"))
    monkeypatch.setattr(draw, "METADATA", {})


@FEW
@given(content=figure_files(), line=st.sampled_from(LINES))
def test_a_figure_file_is_drawn_or_refused(place, before, figures_alone, content, line):
    drawn_or_refused(place, before, content, line)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@MANY
@given(content=figure_files(), line=st.sampled_from(LINES))
def test_many_figure_files_are_drawn_or_refused(place, before, figures_alone, part, content, line):
    drawn_or_refused(place, before, content, line)


@pytest.mark.slow
@settings(FEW, max_examples=20)
@given(content=figure_files(), line=st.sampled_from(LINES))
def test_what_is_drawn_can_be_written(place, before, content, line):
    drawn_or_refused(place, before, content, line)
