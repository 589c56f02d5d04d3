"""One seed for everything, or one for each source: which runs are the same, and how their folders are called."""

import itertools
import re

import pytest

from study.errors import ConfigError
from study.records.unpacking import RUN
from study.seeds import SOURCES, by_source, checked_seed, crossed, label_of, of_label

FEW = ("data=digits", "dry_run=true")


def planned(result):
    assert result.code == 0, result.err
    return re.findall(r"would train outputs/default/(\S+)", result.out)


def test_equal_seeds_of_all_sources_are_the_same_run_as_one_seed(study):
    plain = planned(study(*FEW, "seed=3"))
    assert plain == planned(study(*FEW, "seed.split=3", "seed.init=3", "seed.order=3", "seed.dropout=3"))
    assert plain == planned(study(*FEW, "seed={split: 3, init: 3, order: 3, dropout: 3}"))
    assert plain == planned(study(*FEW, "seed.base=3"))
    assert plain[0].startswith("none-seed3-")


def test_the_order_of_overrides_does_not_matter_and_the_folder_names_what_differs(study):
    (folder,) = planned(study(*FEW, "seed=3", "seed.init=1"))
    assert folder.startswith("none-seed3-init1-")
    assert planned(study(*FEW, "seed.init=1", "seed=3")) == [folder]
    assert RUN.fullmatch(folder)  # a supplement may have it


def test_the_other_sources_keep_the_seed_of_a_yaml_file(study, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    text = "# @package _global_\n# Mine\ndefaults: [{override /data: digits}]\nseed: 5\n"
    (tmp_path / "mine/experiment/mine.yaml").write_text(text)
    mine = ("--config-dir", "mine", "experiment=mine", "dry_run=true")
    assert planned(study(*mine, "seed.init=1"))[0].startswith("none-seed5-init1-")
    assert [name[:16] for name in planned(study("-m", *mine, "seed.init=1,2"))] == [
        "none-seed5-init1",
        "none-seed5-init2",
    ]


def test_sources_are_swept_on_the_command_line_and_in_variants(study):
    names = planned(study("-m", *FEW, "seed=0,1", "seed.init=1,2"))
    assert [name.rpartition("-")[0] for name in names] == [
        "none-seed0-init1",
        "none-seed0-init2",
        "none-seed1",
        "none-seed1-init2",
    ]
    assert names == planned(study(*FEW, "variants=[{seed: {base: [0, 1], init: [1, 2]}}]"))


def test_crossed_seeds_meet_once_in_every_pair_of_sources():
    for levels in (5, 7, 9):
        seeds = [by_source(seed) for seed in crossed(levels)]
        assert len(seeds) == levels**2
        for a, b in itertools.combinations(SOURCES, 2):
            assert len({(seed[a], seed[b]) for seed in seeds}) == levels**2


def test_labels_are_unique_and_can_be_read_back():
    seeds = [dict(zip(SOURCES, numbers, strict=True)) for numbers in itertools.product(range(3), repeat=4)]
    labels = [label_of(checked_seed(seed)) for seed in seeds]
    assert len(set(labels)) == len(seeds)
    assert [of_label(label) for label in labels] == seeds
    assert labels[:2] == [0, "0-dropout1"]


@pytest.mark.parametrize("given", [None, True, 1.0, [0], {"init": [1]}, {"split": -1}, {"inti": 1}])
def test_nonsense_is_refused(given):
    with pytest.raises(ConfigError, match=r"seed(\.\w+)?(=.*: (a whole number is|must be)|: there is no such source)"):
        checked_seed(given)
