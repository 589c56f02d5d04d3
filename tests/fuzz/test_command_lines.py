"""Command lines as people mistype them: each is planned, or refused in a line; nothing on disk changes."""

import re
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.analysis import command as analysis
from tests.conftest import ROOT, run_folders
from tests.fuzz.conftest import TrainedError
from tests.fuzz.harness import FEW, MANY, PARTS, check_told, run
from tests.fuzz.words import FLAGS, KEYS, ODD, VALUES

DOCUMENTED = [
    shlex.split(line)[1:]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    for line in (line.partition(" #")[0].strip() for line in block.splitlines())
    if line.startswith("study ") and not line.startswith("study verify")
]
PLANNED = [line for line in DOCUMENTED if any("=" in word for word in line[:1]) or line[0].startswith("-")]
# Whole studies take seconds to compose: a small sweep stands for them.
PLANNED = [line for line in PLANNED if not any(word.startswith("experiment=") for word in line)]
PLANNED += [["experiment=book"], ["-m", "experiment=book,null", "data=digits"]]
PLANNED += [["tune={trials: 2, seeds: 1, fresh: 1, spaces: {none: {}, l1: {lam: {log: [1e-5, 1e-3]}}}}", "data=digits"]]
KEPT = [
    ["analyze", "name=small", "figures=[]"],
    ["analyze", "name=small", "figures=[gap]", "baseline=none", "spread=interval", "allow=[epochs,path]"],
    ["analyze", "name=small", "at=best", "filter.reg=[l1,l2]", "variants=[none,'l1*']", "style=ieee"],
    ["analyze", "name=small", "variants={none: Plain}", "filter.lam=[1e-4]", "filter.seed=0", "at=2"],
    *(["status", "name=small"], ["clean", "name=other"], ["clean", "name=other", "remove=true"]),
    *(["show", "outputs/small/RUN"], ["diff", "RUN", "OTHER"], ["merge", "other", "small"], ["merge", "new", "small"]),
]
CHARACTERS = "=,.[]{}()'\"\\$:~+-@/*#&%!?<>|^ \tλé0e_" + "ab19"
key_value = st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES))
argument = st.one_of(
    *[key_value] * 5,
    st.sampled_from([word for line in DOCUMENTED for word in line]),
    st.sampled_from(FLAGS),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(ODD)),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=6).filter(lambda text: "\0" not in text)),
)
of_words = ("drop", "double", "swap", "replace", "replace", "insert", "insert", "insert", "exchange")
of_characters = ("delete", "repeat", "move", "put", "change")
place_in = st.integers(0, 60)
edit = st.one_of(
    *[st.tuples(st.sampled_from(of_words), place_in, place_in, argument)] * 3,
    st.tuples(st.sampled_from(of_characters), place_in, place_in, st.sampled_from(CHARACTERS)),
)
edits = st.lists(edit, min_size=1, max_size=3)


def edited(line, edits):
    """A command line with arguments and characters dropped, repeated, swapped, and others put in."""
    words = list(line)
    for kind, where, place, new in edits:
        i = where % (len(words) + 1)
        if kind in ("insert", "exchange") or i == len(words):
            words[i : i + (kind == "exchange")] = [new]
        elif kind == "drop":
            del words[i]
        elif kind == "double":
            words.insert(place % (len(words) + 1), words[i])
        elif kind == "swap":
            j = place % len(words)
            words[i], words[j] = words[j], words[i]
        elif kind == "replace":  # its value only
            words[i] = words[i].partition("=")[0] + "=" + new.partition("=")[2]
        else:
            words[i] = _edited_word(words[i], kind, place % (len(words[i]) + 1), new)
    return words


def _edited_word(word, kind, at, character):
    head, tail = word[:at], word[at:]
    if kind == "delete":
        return head + tail[1:]
    if kind == "repeat":
        return head + tail[:1] * 2 + tail[1:]
    if kind == "move":
        return head + tail[1:2] + tail[:1] + tail[2:]
    return head + character + tail[kind == "change" :]


@pytest.fixture(scope="module")
def runs(place):
    return [run.name for run in run_folders(place / "outputs" / "small")]


@pytest.fixture(autouse=True)
def nothing_drawn(monkeypatch):
    """What figures look like is not the matter here."""
    monkeypatch.setattr(analysis, "draw_all", lambda *_: None)


def planned(place, before, line):
    arguments = ["dry_run=true", *line, "dry_run=true"]
    with suppress(TrainedError):
        check_told(run(arguments, place), arguments)
    assert not before.changed(), arguments
    assert not before.new(), arguments


def looked_after(place, before, runs, line):
    names = {"RUN": runs[0], "OTHER": runs[-1].rpartition("-")[2]}
    arguments = [re.sub("RUN|OTHER", lambda found: names[found[0]], word) for word in line]
    try:
        check_told(run(arguments, place), arguments)
        assert not before.changed(), arguments
        own = r"outputs/(small|other)/(analysis/.*|ledger\.csv|\.analysis-index\.npz|\.figures-drawn\.json)"
        merged = rf"outputs/[\w.-]+/({'|'.join(map(re.escape, runs))})/.*" if "merge" in arguments else own
        assert [name for name in before.new() if not re.fullmatch(f"{own}|{merged}", name)] == [], arguments
    finally:
        for name in before.new():
            (place / name).unlink()


@FEW
@given(st.sampled_from(PLANNED), edits)
def test_a_command_that_trains_is_planned_or_refused(place, before, line, edits):
    planned(place, before, edited(line, edits))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS[:10])
@MANY
@given(line=st.sampled_from(PLANNED), edits=edits)
def test_many_commands_that_train_are_planned_or_refused(place, before, part, line, edits):
    planned(place, before, edited(line, edits))


@FEW
@given(line=st.sampled_from(KEPT), edits=edits)
def test_a_command_that_reads_damages_nothing(place, before, runs, line, edits):
    looked_after(place, before, runs, [line[0], *edited(line[1:], edits)])


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS[:10])
@MANY
@given(line=st.sampled_from(KEPT), edits=edits)
def test_many_commands_that_read_damage_nothing(place, before, runs, part, line, edits):
    looked_after(place, before, runs, [line[0], *edited(line[1:], edits)])
