"""Claims about colours, dashes and markers: one look for one regularizer, in grey and for colour-blind eyes."""

import itertools

import numpy as np
import pandas as pd
import pytest
from colorspacious import cspace_convert
from matplotlib.colors import to_rgb

from study.analysis.drawing.looks import group_looks, looks, read_looks, remembered_looks, shades_of, with_free_looks
from study.config.folders import CONF
from study.errors import ConfigError

DEFICIENCIES = ("deuteranomaly", "protanomaly", "tritanomaly")
LIGHTNESS = 0  # of CIELAB


def runs_of(*variants):
    """Runs of variants given as (reg, λ, what else differs)."""
    rows = [(f"{reg}-lam{lam:g}{rest}", reg, lam) for reg, lam, rest in variants]
    return pd.DataFrame(rows, columns=["variant", "reg", "lam"]).assign(model_regularizers="")


def seen(colour, deficiency):
    """A colour in a perceptually uniform space, as an eye with a deficiency sees it (Machado et al. 2009)."""
    space = {"name": "sRGB1+CVD", "cvd_type": deficiency, "severity": 100}
    return cspace_convert(np.clip(cspace_convert(to_rgb(colour), space, "sRGB1"), 0, 1), "sRGB1", "CAM02-UCS")


def lightness(colour):
    return cspace_convert(to_rgb(colour), "sRGB1", "CIELab")[LIGHTNESS]


def test_every_option_that_ships_has_a_look_of_its_own():
    options = {file.stem for file in (CONF / "reg").glob("*.yaml")}
    assert set(read_looks()) == options
    assert len({(look.dash, look.marker) for look in read_looks().values()}) == len(options)  # in grey
    assert len({(look.colour, look.marker) for look in read_looks().values()}) == len(
        options
    )  # where there are no lines


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colour_blind_eyes_tell_the_colours_apart(deficiency):
    colours = sorted({look.colour for look in read_looks().values()})
    assert len(colours) >= 9
    for one, other in itertools.combinations(colours, 2):
        assert np.linalg.norm(seen(one, deficiency) - seen(other, deficiency)) > 8, (one, other)


@pytest.mark.parametrize("reg", sorted(read_looks()))
def test_shades_of_lam_darken_in_even_steps_that_a_print_in_grey_shows(reg):
    steps = -np.diff([lightness(shade) for shade in shades_of(read_looks()[reg].colour, 5)])
    assert steps.min() > 2.5
    assert lightness(shades_of(read_looks()[reg].colour, 5)[0]) < 92  # visible on white


def test_a_regularizer_looks_the_same_whatever_it_is_compared_with():
    alone = looks(runs_of(("l1", 1e-4, "")))["l1-lam0.0001"]
    beside = looks(runs_of(("none", 0, ""), ("dropout", 0.5, ""), ("l1", 1e-4, ""), ("l2", 1e-2, "")))["l1-lam0.0001"]
    assert (alone.colour, alone.dash, alone.marker) == (beside.colour, beside.dash, beside.marker)


def test_lam_gives_shades_from_light_to_dark_with_one_dash_and_marker():
    found = list(looks(runs_of(*(("l1", lam, "") for lam in (1e-3, 1e-5, 1e-4)))).values())
    assert len({(str(look.dash), look.marker) for look in found}) == 1
    assert lightness(found[1].colour) > lightness(found[2].colour) > lightness(found[0].colour)


def test_settings_beside_lam_differ_in_dash_and_marker_and_keep_the_colour():
    found = list(looks(runs_of(*(("l1", 1e-4, f"-train_size{n}") for n in range(12)))).values())
    assert len({look.colour for look in found}) == 1
    assert len({(str(look.dash), look.marker) for look in found}) == 12


def test_an_option_of_the_user_keeps_the_free_look_that_it_got(tmp_path):
    first = remembered_looks(tmp_path, ["none", "l1", "bridge"], [CONF])["bridge"]
    assert first.colour not in {read_looks()["l1"].colour, read_looks()["none"].colour}
    later = remembered_looks(tmp_path, ["none", "another", "bridge", "l2"], [CONF])
    assert later["bridge"] == first
    assert (later["another"].dash, later["another"].marker) != (first.dash, first.marker)
    assert later["another"].colour != first.colour


def test_the_user_can_choose_a_look(tmp_path):
    (tmp_path / "style" / "looks").mkdir(parents=True)
    file = tmp_path / "style" / "looks" / "mine.yaml"
    file.write_text("bridge: {colour: teal, dash: [4, 1], marker: h}\n")
    found = remembered_looks(tmp_path / "study", ["bridge"], [tmp_path, CONF])["bridge"]
    assert (found.colour, found.dash, found.marker) == ("teal", [4, 1], "h")
    assert looks(runs_of(("bridge", 1.0, "")), {"bridge": found})["bridge-lam1"].dash == (0, (4, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    {
        "bridge: {colour: tealish, dash: dotted, marker: s}": "colour=tealish: must be a colour",
        "bridge: {colour: teal, dash: wavy, marker: s}": "dash=wavy: allowed: solid, dashed",
        "bridge: {colour: teal, dash: [1, -1], marker: s}": "dash=[1, -1]: allowed",
        "bridge: {colour: teal, dash: [1], marker: s}": "dash=[1]: allowed",
        "bridge: {colour: teal, dash: dotted, marker: star}": "marker=star: must be a marker of Matplotlib",
        "bridge: {color: teal}": "color: a look has no such argument. Allowed: colour, dash, marker",
        "bridge: {colour: teal}": "dash is missing",
        "bridge: teal": "must map options of reg to looks",
        "- a\n- b": "must map options of reg to looks",
        "bridge: {colour: [": "cannot be read",
    }.items(),
)
def test_a_look_that_is_not_allowed_is_refused(tmp_path, content, message):
    (tmp_path / "style" / "looks").mkdir(parents=True)
    (tmp_path / "style" / "looks" / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError) as error:
        remembered_looks(tmp_path / "study", ["bridge"], [tmp_path, CONF])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_more_options_than_looks_still_get_one():
    regs = [f"mine{n}" for n in range(60)]
    found = with_free_looks(read_looks(), regs)
    assert len({(found[reg].colour, found[reg].dash, found[reg].marker) for reg in regs}) >= 48


def test_numbers_of_a_column_get_shades_whatever_their_type():
    sizes = pd.Series([100, 400, 1000]).unique()  # NumPy's integers
    found = list(group_looks(sizes, "train_images", runs_of(("l1", 1e-4, ""))).values())
    assert lightness(found[0].colour) > lightness(found[1].colour) > lightness(found[2].colour)
