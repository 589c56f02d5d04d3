"""From a command line, a study's variants and its seeds to the points of a sweep."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from study.config.points.grid import points
from study.errors import ConfigError


def grid(*arguments, variants=(), seeds=None, multirun=True):
    base = OmegaConf.create({"variants": list(variants), "seeds": seeds})
    return points(base, OverridesParser.create(), arguments, multirun)


def test_a_sweep_is_the_product_of_its_values():
    assert grid("reg=none,l1", "lam=1e-4,1e-3") == [
        ["reg=none", "lam=0.0001"],
        ["reg=none", "lam=0.001"],
        ["reg=l1", "lam=0.0001"],
        ["reg=l1", "lam=0.001"],
    ]


def test_a_single_run_is_a_sweep_of_one():
    assert grid("reg=l1", multirun=False) == [["reg=l1"]]
    assert grid(multirun=False) == [[]]


def test_seeds_vary_fastest_and_sweep_without_m():
    assert grid("reg=l1", "seeds=2", seeds=2, multirun=False) == [["reg=l1", "seed=0"], ["reg=l1", "seed=1"]]
    assert grid(seeds=[3, 7], multirun=False) == [["seed=3"], ["seed=7"]]


def test_variants_have_grids_of_their_own():
    variants = [{"reg": "none"}, {"reg": "l1", "lam": [1e-05, 0.1]}, {"model": {"hidden": [[3], [4, 5]]}}]
    assert grid(variants=variants, multirun=False) == [
        ["reg=none"],
        ["reg=l1", "lam=1e-05"],
        ["reg=l1", "lam=0.1"],
        ["model.hidden=[3]"],
        ["model.hidden=[4, 5]"],
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"Conv2d": 1, "Linear": 0.1},
        {r"hidden\..*": 2.0, "(a|b)[.]weight": 0.5},
        [{"reg": "l1", "lam": 1e-05, "scope": {"weights": 1}}, {"reg": "ema", "schedule": "constant", "x": "1"}],
    ],
)
def test_mappings_of_the_variants_are_values(value):
    parser = OverridesParser.create()
    for variant in ({"reg.scope": [value]}, {"reg": {"scope": [value]}}):
        ((line,),) = grid(variants=[variant])
        override = parser.parse_override(line)
        assert override.key_or_group == "reg.scope"
        assert override.value() == value
    if isinstance(value, dict):
        assert grid(variants=[{"reg": {"scope": value}}]) == grid(variants=[{"reg.scope": [value]}])


def test_a_key_of_the_command_line_replaces_that_key_of_the_variants():
    variants = [{"reg": "l1", "lam": [1, 2]}, {"reg": "l2"}]
    assert grid("lam=5", variants=variants) == [["reg=l1", "lam=5"], ["reg=l2", "lam=5"]]


def test_ranges_choices_and_lists():
    assert grid("seed=range(0,3)") == [["seed=0"], ["seed=1"], ["seed=2"]]
    assert grid("lam=choice(1,2)") == [["lam=1"], ["lam=2"]]
    assert grid("model.hidden=[3,4]", multirun=False) == [["model.hidden=[3,4]"]]


def test_an_engine_key_cannot_differ_between_variants():
    with pytest.raises(ConfigError, match="workers says how a sweep is run"):
        grid(variants=[{"workers": 2}])


def test_text_of_the_variants_is_read_as_it_was_written():
    parser = OverridesParser.create()
    for name in ("l1", "L¹", "a b", "we[red]ird\\{}", "it's", "a\\'b", "l1|a*b_c<i>", "Łé"):
        ((line,),) = grid(variants=[{"reg": name}])
        assert parser.parse_override(line).value() == name
