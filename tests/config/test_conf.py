"""Every YAML file that ships composes to a valid config, and a new one is all that a new variant needs."""

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from study.config.folders import CONF
from study.config.points.compose import BaseComposer
from study.config.points.grid import points
from study.config.points.parsing import OverridesOnce
from study.config.schema import register_schemas
from tests.config.test_identity import config
from tests.conftest import run_folders

OPTIONS = sorted(
    f"{file.parent.name}={file.stem}"
    for file in CONF.rglob("*.yaml")
    if file.parent
    not in (
        CONF,
        CONF / "experiment",
        CONF / "figure",
        CONF / "style",
        CONF / "style" / "looks",
        CONF / "hydra" / "launcher",
    )
    if "???" not in file.read_text()  # it requires a value, such as the path of a file
    if "study.data.of_torchvision" not in file.read_text()  # it requires a download
)
NEEDS = {"reg=stochastic_depth": ["data=fashion_mnist_mini", "model=resnet18"]}
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_is_valid(option):
    group, name = option.split("=")
    assert getattr(config(*NEEDS.get(option, []), option), group)["option"] == name


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_variant_of_every_experiment_is_valid(experiment):
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        base = compose("config", overrides=[f"experiment={experiment}"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        grid = points(base, OverridesParser.create(), [], multirun=False)
        assert grid
        grid = [[f"experiment={experiment}", *point] for point in grid]
        found = BaseComposer(base, loader, OverridesOnce(loader)).compose_all(grid)
    assert [run.config.name for run in found] == [experiment] * len(grid)


def test_the_book_study_is_the_textbooks():
    book = [config("experiment=book", *point) for point in (["reg=none"], ["reg=l1", "lam=1e-4"])]
    for run in book:
        assert (run.epochs, run.batch_size, run.seed) == (30, 32, 0)
        assert run.model["hidden"] == [1000]
        assert run.optimizer["_target_"] == "study.optimizers.adam"
        assert run.optimizer["lr"] == 1e-3
        assert run.data["split"] == "textbook"
    assert book[1].reg["scope"] == "all"
    defaults = {reg: config(f"reg={reg}").lam for reg in ("none", "l1", "l2", "l2_norm")}
    assert defaults == {"none": 0, "l1": 1e-4, "l2": 1e-2, "l2_norm": 1e-2}


def test_hydra_s_mode_is_not_composed_for(study, tmp_path, monkeypatch):
    """Hydra would compose once more to read it."""
    composed, compose_config = [], Hydra.compose_config
    monkeypatch.setattr(Hydra, "compose_config", lambda *a, **k: composed.append(k) or compose_config(*a, **k))
    few = ("data=digits", "data.train_size=50", "model.hidden=[5]", "epochs=1", "name=once")
    assert study(*few).code == 0
    assert len(run_folders(tmp_path / "outputs" / "once")) == len(composed) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["data=digits", "reg=l1", "lam=1e-3", "epochs=2"],
        ["reg=l2", "+model.own=3", "~reg.schedule", "optimizer.lr=0.1", "model.hidden=[20,10]"],
        ["reg=combine", "reg.parts=[{reg: l1, lam: 1e-4}, {reg: l2}]"],
    ],
)
def test_what_hydra_has_composed_for_a_command_is_its_single_point(arguments):
    """It is not composed once more, and is what composing it once more would give."""
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        of_point, of_nothing = (compose("config", overrides=o, return_hydra_config=True) for o in (arguments, []))
        (point,) = points(of_point, OverridesParser.create(config_loader=loader), arguments, multirun=False)
        again = BaseComposer(of_nothing, loader, OverridesOnce(loader))
        expected = again.compose(point)
        assert again.composed
        once = BaseComposer(of_point, loader, OverridesOnce(loader))
        assert once.compose(point) == expected
        assert not once.composed
        other = [*point, "seed=3"]
        assert once.compose(other) == again.compose(other)
        assert not once.composed
        assert once.compose(["reg=none"]) == again.compose(["reg=none"])  # which has less than the command


def test_a_variant_is_one_yaml_file(study, tmp_path):
    """As the README says: a file of two lines, no Python."""
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "l1_weights.yaml").write_text("defaults: [l1]\nscope: weights\n")
    result = study("--config-dir", "own", "-m", "data=digits", "epochs=1", "reg=l1,l1_weights", "lam=1e-3", "workers=1")
    assert result.code == 0, result.err
    plain, own = run_folders(tmp_path / "outputs" / "default")
    assert own.name.startswith("l1_weights-lam0.001-")
    assert OmegaConf.load(own / "config.yaml").reg.scope == "weights"
    assert OmegaConf.load(plain / "config.yaml").reg.scope == "all"


def test_ones_own_function_is_a_variant(study, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "my_bridge.py").write_text("def bridge(w, power: float):\n    return w.abs().pow(power).sum()\n")
    (tmp_path / "own" / "reg" / "bridge.yaml").write_text("_target_: my_bridge.bridge\nlam: 1e-4\npower: 1.5\n")
    result = study("--config-dir", "own", "data=digits", "epochs=1", "reg=bridge", "reg.power=2")
    assert result.code == 0, result.err
    wrong = study("--config-dir", "own", "data=digits", "reg=bridge", "+reg.pwer=2")
    assert wrong.code == 1
    assert "reg.pwer: my_bridge.bridge has no such argument. Allowed: power" in wrong.err
