"""Thousands of points are planned quickly, and exactly as Hydra composes each of them alone."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from study.cli.patches import patch
from study.config import checks
from study.config.folders import CONF
from study.config.points.compose import BaseComposer, Composer
from study.config.points.grid import points
from study.config.points.parsing import OverridesOnce
from study.config.resolve import resolve
from study.config.schema import register_schemas

OWN = {
    "tied": ("lam: 0.1", "p: ${lam}", "eps: 1e-8"),  # another value depends on a swept one
    "relative": ("lam: 0.1", "p: ${.lam}", "eps: ${oc.select:reg.p}"),
    "text": ("lam: 0.1", "p: 0.5", "eps: ${oc.decode:1e-${seed}}"),
}


@pytest.fixture
def base(tmp_path):
    """The base config of a command, with options of the user's own, and Hydra's loader."""
    patch()
    register_schemas()
    (tmp_path / "mine" / "reg").mkdir(parents=True)
    for name, keys in OWN.items():
        content = "\n".join(["_target_: study.regularizers.penalties.Lp", *keys])
        (tmp_path / "mine" / "reg" / f"{name}.yaml").write_text(content)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        path = f"hydra.searchpath=[file://{tmp_path}/mine]"
        yield lambda *fixed: (
            compose("config", overrides=[path, *fixed], return_hydra_config=True),
            GlobalHydra.instance().config_loader(),
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["reg=l1,none", "lam=0,1e-3", "seed=7"],
        ["reg=dropout,lp", "lam=0.25,0.5", "model.norm=layer"],
        ["reg=tied", "lam=0.2,0.3", "seed=0,1"],
        ["reg=relative", "reg.lam=0.2,0.3"],
        ["reg=text", "seed=5,6", "lam=1"],
        ["reg=l2", "seed=${epochs}", "epochs=1,2"],
        ["reg=l1", "reg.scope=all,{Linear: 0.5}", "clip_norm=2,3", "model.hidden=[9]"],
        ["reg=l2", "optimizer=sgd", "optimizer.lr=0.1,0.01", "schedule.warmup=0,1"],
        ["data=digits,mnist1d", "data.train_size=null,500"],
        ["task=classification,null", "batch_size=8,16"],
    ],
    ids=" ".join,
)
def test_a_sweep_gives_what_hydra_composes_for_each_point_alone(base, arguments):
    arguments = ["data=digits", *arguments] if not arguments[0].startswith("data") else arguments
    config, loader = base(*(line for line in arguments if "," not in line))
    parser = OverridesOnce(loader)
    grid = points(config, parser, arguments, multirun=True)
    together = Composer(loader, parser).compose_each([(config, grid)])
    own = BaseComposer(config, loader, OverridesOnce(loader))
    for point, found in zip(grid, together, strict=True):
        checks.forget()
        assert found == resolve(*own._by_hydra(tuple(point)), own.reg_option), point


def test_the_number_of_points_decides_nothing_but_arithmetic(base, monkeypatch):
    """A thousand seeds resolve as many configs of OmegaConf as two seeds."""
    config, loader = base("data=digits")
    counts = []
    for seeds in (2, 1000):
        calls = []
        resolved = OmegaConf.to_container
        monkeypatch.setattr(OmegaConf, "to_container", lambda *a, **k: calls.append(1) or resolved(*a, **k))  # noqa: B023
        grid = [
            [f"reg={reg}", f"lam={lam}", f"seed={s}"] for reg in ("l1", "l2") for lam in (1, 2) for s in range(seeds)
        ]
        assert len(Composer(loader, OverridesOnce(loader)).compose_each([(config, grid)])) == 4 * seeds
        counts.append(len(calls))
        monkeypatch.undo()
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("value", ["0", "-0", "+7", "1_000", "00", "1e-4", "1E+3", "-.5", "5.", "1.50", "1e5.", "nan"])
def test_numbers_are_parsed_as_hydra_parses_them(base, value):
    _, loader = base()
    for line in (f"lam={value}", f"data.train_size={value}", f"+lam={value}", f"reg@x={value}"):
        expected = OverridesParser.create(loader).parse_overrides([line])
        found = OverridesOnce(loader).parse_overrides([line])
        assert repr(found) == repr(expected)
        assert type(found[0].value()) is type(expected[0].value())
