"""`study --help` and `study help KEY`: everything is explained, from the YAML files, in 80 columns."""

from dataclasses import fields

import pytest

from study.cli.help import WIDTH, option_in, study_keys
from study.cli.main import COMMANDS
from study.config.folders import CONF
from study.config.run_config import GROUPS
from study.config.schema import AnalysisSchema, StudySchema

OPTIONS = sorted(file for file in CONF.glob("*/*.yaml"))


@pytest.mark.parametrize("command", [["--help"], ["-h"], ["help"], ["analyze", "--help"]])
def test_it_fits_the_terminal_and_begins_with_what_one_can_do(study, command):
    result = study(*command)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= WIDTH
    assert "ommands" in result.out.splitlines()[2] or command[0] == "analyze"


@pytest.mark.parametrize(("config", "schema"), [("config", StudySchema), ("analysis", AnalysisSchema)])
def test_every_key_has_an_explanation(config, schema):
    explained = {key.name: key.text for key in study_keys(CONF, config)}
    known = {field.name for field in fields(schema)} - {*GROUPS, "style"}
    assert known <= explained.keys()
    assert all(explained.values())


@pytest.mark.parametrize("file", OPTIONS, ids=lambda file: f"{file.parent.name}={file.stem}")
def test_every_option_has_one(file):
    assert 0 < len(option_in(file).text) <= 58


def test_all_keys_options_and_commands_are_listed(study):
    out, analysis = study("--help").out, study("analyze", "--help").out
    assert all(f"  {name}" in out for name in COMMANDS)
    assert all(f"  {key.name}=" in out for key in study_keys(CONF))
    assert all(f"  {key.name}=" in analysis for key in study_keys(CONF, "analysis"))
    assert all(f"  {file.stem} " in (analysis if file.parent.name in ("figure", "style") else out) for file in OPTIONS)


@pytest.mark.parametrize(
    ("asked", "told"),
    {
        "lam": ["λ, the strength of the regularizer.", "any finite number ≥ 0", "example: study reg=l1 lam=1e-4"],
        "data.split": ["allowed: holdout, textbook", "default: holdout", "example: study data.split=textbook"],
        "optimizer.lr": ["study optimizer=adam optimizer.lr=1e-3", "study optimizer=sgd"],
        "reg=l2": ["weight_decay = 2λ", "lam=1e-2"],
        "early_stopping": ["reg.patience=5"],
        "tune.trials": ["per variant; reg=none gets as many;", "study experiment=tuned tune.trials=16"],
        "reg.lam": ["the strength of the regularizer"],
        "at": ["example: study analyze at=best"],
        "reg": ["reg=OPTION", "max_norm"],
        "style": ["style=OPTION", "ieee"],
        "ieee": ["study analyze name=mine style=ieee", "style.size=8"],
        "forest": ['study analyze name=mine "figures=[forest]"'],
        "status": ["check=true"],
        "analyze": ["study analyze name=mine at=best"],
    }.items(),
)
def test_one_of_them_is_explained_with_what_is_allowed_and_an_example(study, asked, told):
    result = study("help", asked)
    assert result.code == 0
    out = " ".join(result.out.split())
    assert [words for words in told if words.lower() not in out.lower()] == []


def test_a_name_that_is_mistyped_gets_the_one_that_was_meant(study):
    assert "Did you mean lam?" in study("help", "lamb").err
    assert "Did you mean early_stopping?" in study("help", "early_stoping").err


@pytest.mark.parametrize("asked", [["lamb"], ["reg=l9"], ["", ""], ["lam", "reg"], ["l1=reg"], ["../x"]])
def test_what_is_not_there_is_refused_in_one_line(study, asked):
    result = study("help", *asked)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "study --help" in result.err or "study help lam" in result.err


def test_options_of_one_s_own_are_explained_as_well(study, tmp_path):
    (tmp_path / "mine" / "reg").mkdir(parents=True)
    (tmp_path / "mine" / "reg" / "bridge.yaml").write_text(
        "# λ Σ|w|^p\n# p is the power.\n_target_: my.bridge\nlam: 1\n"
    )
    assert "  bridge               λ Σ|w|^p" in study("--config-dir", "mine", "--help").out
    page = study("help", "bridge", "--config-dir", "mine").out
    assert "p is the power." in page
    assert "example: study --config-dir mine reg=bridge" in page
