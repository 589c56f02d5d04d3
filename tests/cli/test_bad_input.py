"""Mistakes are refused before anything is trained, in one line that says what is allowed, without a traceback."""

import os
import re
import shlex

import pytest

from study.config.folders import CONF
from tests.conftest import run_folders

RUNS = "Runs are written to outputs/<name>/<run>/ below the current folder. Leave it out, and set name="
MISTAKES = {
    "typo=1": "typo is not a key",
    "+typo=1": "typo is not a key of the config. Allowed: name, seed, epochs",
    "lam=-1": "lam=-1.0: must be a finite number ≥ 0. Example: lam=1e-4",
    "lam=nan": "must be a finite number ≥ 0",
    "lam=inf": "must be a finite number ≥ 0",
    "lam=abc": "a number is allowed",
    "epochs=0": "must be a whole number ≥ 1",
    "epochs=1.5": "a whole number is allowed",
    "batch_size=0": "must be a whole number ≥ 1",
    "seed=-1": "must be a whole number ≥ 0",
    "seed=1.5": "seed=1.5: a whole number is allowed",
    "seed.foo=1": "seed.foo: there is no such source of randomness. Allowed: seed.split, seed.init, seed.order",
    "seed.init=-1": "seed.init=-1: must be a whole number ≥ 0",
    "seed.init=0,1": "seed.init=0,1 has several values. Add -m",
    "seeds=3 seed.init=1": "seed.init and seeds are both given",
    "seeds={crossed:4}": "must be an odd number from 5 to 99",
    "workers=0": "must be a whole number ≥ 1",
    "model.hidden=[0]": "widths of at least 1",
    "model.hidden=abc": "must be of type list[int]",
    "model.hiddn=[3]": "model.hiddn is not a key",
    "+model.hiddn=[3]": "study.models.mlp has no such argument. Allowed: hidden",
    "model=lstm": "there is no such option. Allowed: cnn, linear, mlp, module, resnet18",
    "reg=l3": "reg=l3: there is no such option. Allowed: activity_l1, augment, batch_norm, combine, confidence_penalty",
    "reg=dropout lam=1": "lam=1.0: a number in [0, 1) is allowed",
    "reg=max_norm lam=0": "any finite number above 0 is allowed",
    "reg=elastic_net reg.ratio=2": "a number in [0, 1] is allowed",
    "reg=weight_decay reg.independent=true lam=1": "lam=1.0: a number in [0, 1) is allowed",
    "reg=lp reg.p=1": "reg.p=1.0: must be above 0 and below 1. Use reg=l1 for p=1, and reg=l2 for p=2",
    "reg=lp reg.p=0": "must be above 0 and below 1",
    "reg=lp reg.p=nan": "must be above 0 and below 1",
    "reg=lp reg.eps=0": "any finite number of at least 1e-30 is allowed",
    "reg=early_stopping reg.patience=0": "at least 1 is allowed",
    "reg=early_stopping reg.monitor=test_loss": "allowed: val_loss, val_accuracy",
    "reg=l1 reg.schedule=cosine": "allowed: constant, warmup, anneal",
    "reg=l1 reg.schedule=warmup reg.ramp=0": "must be a whole number of epochs ≥ 1",
    "reg=dropout model.dropout=0.1": "contradicts reg=dropout",
    "reg=dropout model=linear": "sets model.dropout, and model=linear has no such option",
    "reg=group_lasso reg.scope=output.*": "none of hidden.0.weight is in scope",
    "reg=orthogonal reg.scope=.*bias": "none of hidden.0.bias, output.bias is one",
    "reg=combine lam=1e-4": "each part of reg=combine has its own lam",
    "reg=combine reg.schedule=warmup": "each part of reg=combine has its own. Set it in reg.parts",
    "reg=combine reg.parts=[]": "must be a list of options. Example: [{reg: l1",
    "reg=combine reg.parts=[l1]": "must be a list of options",
    "reg=combine reg.parts=[{reg:none}]": "cannot be a part",
    "reg=combine reg.parts=[{reg:l1,lm:3}]": "reg.lm: study.regularizers.penalties.L1 has no such argument",
    "reg=combine reg.parts=[{reg:nope}]": "reg=nope: there is no such option",
    "reg=combine reg.parts=[{reg:l1,lam:-1}]": "at least 0 is allowed",
    "reg=combine reg.parts=[{reg:early_stopping},{reg:early_stopping}]": "only one part may choose the epoch",
    "reg=combine reg.parts=[{reg:ema},{reg:ema}]": "only one part may change the weights that are scored",
    "reg=combine reg.parts=[{reg:ema},{reg:l1},{reg:l1_proximal}]": "reg.parts: ema must come after l1_proximal, which",
    "reg=ema lam=1": "lam=1.0: a number in [0, 1) is allowed",
    "reg=combine reg.parts=[{reg:sam},{reg:l1},{reg:sam}]": "only one part may change the gradients of a step",
    "model.dropout=1": "a number in [0, 1) is allowed",
    "model.norm=batch batch_size=1": "batches of at least 2 images",
    "loop=quick": "allowed: common, fastest, lockstep, general",
    "experiment=nope": "experiment=nope: there is no such option. Allowed: book",
    "reg=l1 reg.scope=output": "matches no parameter. Allowed: all, weights, a type of module (Linear), or a",
    "reg=l1 reg.scope=Conv2d": "this model has no such parameters. Types of its modules with parameters: Linear\n",
    "reg=l1 reg.scope={ReLU:1}": "reg.scope=ReLU: this model has no such parameters",
    "optimizer.lr=0": "any finite number above 0",
    "+optimizer.weight_decay=1": "study.optimizers.adam has no such argument. Allowed: lr",
    "data.split=thirds": "allowed: holdout, textbook",
    "data.train_size=1500": "must be from 10 to 1249 for",
    "data.train_size=1300 data.val_size=200": "must be from 10 to 1298 for",
    "data.val_size=9": "must be from 10 to 1488 for",
    "data.val_size=1489": "must be from 10 to 1488 for",
    "data.val_size=0.2": "data.val_size=0.2",
    "data.val_size=100 data.split=textbook": "with data.split=textbook the test set is the validation set",
    "device=tpu": "there is no such device. Allowed: auto, cpu",
    "device=[]": "the list is empty. Allowed: auto, cpu",
    "device=[cuda:0,cpu]": "device=[cuda:0,cpu]: a list may name cards only, as cuda:<number>",
    "device=[cuda:1,cuda:1]": "names a card twice",
    "-m device=cpu,cuda": "device says how a sweep is run. Give one value",
    "device=cuda:1 hydra/launcher=joblib": "joblib decides which cards its jobs have, and they use all of these. Give",
    "reg=none,l1": "Add -m",
    "seeds=2 seed=1": "seed and seeds are both given",
    "seeds=two": "a number of seeds",
    "seeds=auto": "half_width is missing: how narrow the intervals must be. Example: half_width=0.2",
    "half_width=0.2": "it has no meaning without seeds=auto",
    "max_seeds=9": "it has no meaning without seeds=auto",
    "seeds=auto half_width=-1": "half_width=-1: must be a finite number above 0",
    "seeds=auto half_width=inf": "half_width=inf: must be a finite number above 0",
    "seeds=auto half_width=few": "half_width=few: a number is allowed",
    "seeds=auto half_width=1 max_seeds=5": "max_seeds=5: must be from 6, the seeds of the first round, to 100",
    "seeds=auto half_width=1 max_seeds=999": "must be from 6, the seeds of the first round, to 100",
    "seeds=auto half_width=1 seed=3": "seed and seeds are both given",
    "seeds=auto half_width=1": "there is nothing to compare with reg=none",
    "-m seeds=auto half_width=1 reg=l1,l2": "each variant is compared with reg=none in the same setting, and there",
    "-m seeds=auto half_width=1 reg=none,l1 primary=accuracy_gap": "primary=accuracy_gap cannot decide when to stop",
    "-m seeds=auto half_width=1,2 reg=none,l1": "half_width says how a sweep is run. Give one value",
    "experiment=tuned seeds=auto half_width=1": "tune makes its own seeds and variants",
    "seeds=9999999999": "must be at most 100,000",
    "-m seed=range(0,1000000)": "more than 100,000 runs",
    "-m --run": "Only one of --run, --multirun",
    "--resolve": "--resolve flag can only be used",
    "--shell-completion": "Expecting one subcommand from",
    "on_failure=shrug": "allowed: continue, stop",
    "checkpoint_every=-1": "must be a number of seconds ≥ 0",
    "keep_model=maybe": "true or false is allowed",
    "-m workers=1,2": "workers says how a sweep is run. Give one value",
    "-m name=a,b": "name says how a sweep is run. Give one value",
    "-m lam=interval(0,1)": "Allowed: a list of values, choice(...), range(...)",
    "name=a/b": "without '/' and '..'",
    "name=..": "without '/' and '..'",
    "experiment=tuned tune.trails=8": "tune.trails is not a key of tune. Allowed: search, trials",
    "experiment=tuned tune.shared={optimizer.lr:{lgo:[1,2]}}": "must be a range or a choice with search=sobol",
    "experiment=tuned tune.shared={optimizer.lr:[1,2]}": "a list cannot replace a mapping",
    "-m experiment=[book,zoo]": "a list is not allowed. For several experiments: -m experiment=a,b",
    "status mine": "Example: name=mine",
    "name=a.": "and single dots between them",
    "name=NUL": "is the name of a device on Windows",
    "name=com1.x": "is the name of a device on Windows",
    "~reg": "cannot be removed",
    "variants=[3]": "3 must be a mapping of keys to values",
    "reg": "verify, merge, compact, expand, export, import, clean, cancel, help) nor a key",
    "reg=1": "reg=1: a group takes the name of an option",
    "-m experiment=5,6": "experiment=5: a group takes the name of an option",
    "-m reg=none,1 lam=1e-4": "reg=1: a group takes the name of an option",
    "=3": "no key before",
    "hydra.sweep.dir=elsewhere": RUNS,
    "++hydra.sweep.dir=elsewhere": RUNS,
    "-m reg=none,l1 hydra.sweep.subdir=x": RUNS,
    "hydra.run.dir=x": RUNS,
    "hydra.job.chdir=true": RUNS,
    "hydra.output_subdir=x": "hydra.output_subdir=x: has no effect here",
    "hydra.mode=RUN": "study sweeps with -m",
    "hydra/sweeper=basic": "study has a sweeper of its own",
    "++hydra.job.env_set.A=1": "Only Hydra launchers (hydra/launcher=...) use it",
    "hydra.job.name=mine": "Hydra settings that are allowed: hydra.searchpath",
    "hydra/job_logging=default": "Hydra settings that are allowed: hydra.searchpath",
    "analyze hydra.run.dir=x": "Tables and figures are written to outputs/<name>/analysis/ below the current folder",
    "analyze hydra.mode=MULTIRUN": "study sweeps with -m, and study analyze never sweeps",
    "analyze name=a,b": "name=a,b: one value is allowed here",
    "--config-dir=. analyze name=a": "analyze: a subcommand comes first. Write study analyze ..., and flags after it",
    "analyze table=3": "table=3: it takes no value. Give the keys below it (table.siunitx, table.caption, table.label,",
    "analyze table=null": "table=null: it takes no value. Give the keys below it (table.siunitx,",
    "analyze filter=3": "filter=3: it takes no value. Give the keys below it, such as filter.reg=l1",
    "logger=tensorboard,mlflow": "Give one value, or the list logger=[tensorboard,mlflow]",
    "analyze -m name=a,b": "study analyze takes one study",
}


def test_broken_yaml_of_ones_own_is_told_with_its_place(study, tmp_path):
    (tmp_path / "reg").mkdir()
    (tmp_path / "reg" / "mine.yaml").write_text("_target_: study.regularizers.penalties.L1\n power: [1.5\n")
    result = study(f"--config-dir={tmp_path}", "reg=mine", "data=digits")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert 'mine.yaml", line 2' in result.err


@pytest.mark.parametrize("arguments", [["+setup=mine"], ["-m", "+setup=mine,other"]])
def test_a_place_for_runs_in_ones_own_yaml_is_refused(study, tmp_path, arguments):
    (tmp_path / "own" / "setup").mkdir(parents=True)
    for name, text in {"mine": "hydra: {sweep: {dir: elsewhere}}", "other": "epochs: 1"}.items():
        (tmp_path / "own" / "setup" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    result = study("--config-dir", "own", *arguments, "data=digits", "epochs=1")
    assert result.code == 1
    assert f"hydra.sweep.dir=elsewhere: has no effect here. {RUNS}" in result.err
    assert not (tmp_path / "outputs").exists()


def test_a_file_where_a_study_should_be_is_named(study, tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "mine").touch()
    assert "is a file. Move it elsewhere" in study("data=digits", "epochs=1", "name=mine").err


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(study, tmp_path, arguments):
    few = ("data=digits", "epochs=1") if "analyze" not in arguments.split() else ()
    result = study(*few, *arguments.split())
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert result.err.startswith("study: error: ")
    assert MISTAKES[arguments] in result.err
    assert result.out == ""
    assert not (tmp_path / "outputs").exists()


SPELLINGS = {
    "reg=L¹": """¹ is not allowed without quotes. Write "reg='L¹'\"""",
    "reg=none,L¹": """¹ is not allowed without quotes. Write "reg=none,'L¹'\"""",
    "reg=a=b": """= is not allowed without quotes. Write "reg='a=b'\"""",
    "reg=we[red]ird": """Write "reg='we[red]ird'\"""",
    "lam=[1,2": "the bracket [ has no partner. For a list, write lam=[1,2]; for a mapping, lam={a: 1}",
    "lam={a": "the bracket { has no partner",
    "x=)": "the bracket ) has no partner",
    "lam=[1,¹]": "this is not a valid list, mapping or function. They look like [1,2], {a: 1} and range(1,3)",
    "reg=glob(L¹*)": "this is not a valid list, mapping or function",
    "reg='a": "the quote ' is not closed",
    "reg=l1,,l2": "a value is missing before or after a comma",
    "lam=foo(1)": "there is no function foo. Allowed: bool,choice",
    "lam=range(0,3,a)": "range(0,3,a) has an argument that the function does not accept",
    "++reg=l1": "++ is not allowed with a group. Write reg=l1",
    "name=${oc.env:NOT_SET_HERE}": "name: cannot be resolved: \"Environment variable 'NOT_SET_HERE' not found\"",
    "++=1": "there is no key before the '='",
    "name=a\nb": "only printable text without line breaks is allowed",
    "λ=1": "λ=1: there is no such key. Keys look like lam, optimizer.lr or reg",
    "a b=1": "there is no such key",
    "": "'': a key with a value is missing. Allowed: key=value",
    "reg=a b": "reg=a b: there is no such option",
}


@pytest.mark.parametrize("argument", SPELLINGS)
def test_what_hydra_cannot_read_is_told_with_how_to_write_it(study, argument):
    result = study("-m", "data=digits", argument)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert SPELLINGS[argument] in result.err


def test_an_unknown_option_is_named_as_typed_with_the_one_that_was_meant(study, tmp_path):
    err = study("data=digits", "reg=l9").err
    allowed = ", ".join(sorted(file.stem for file in (CONF / "reg").glob("*.yaml")))
    assert err == f"study: error: reg=l9: there is no such option. Allowed: {allowed}. Did you mean l1?\n"
    assert "reg=drop_out: there is no such option" in (err := study("data=digits", "reg=drop_out").err)
    assert "Did you mean dropout?" in err
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults: [{/data@more: digitz}]\n"
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(text)
    err = study("--config-dir", "own", "experiment=mine").err
    assert "data=digitz (in experiment/mine.yaml): there is no such option. Allowed: arrays" in err


def test_what_is_recommended_can_be_read(study, tmp_path):
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "L¹.yaml").write_text("_target_: study.regularizers.penalties.L1\nlam: 1e-4\n")
    result = study("--config-dir", "own", "data=digits", "epochs=1", "reg=L¹", "dry_run=true")
    (recommended,) = shlex.split(result.err.partition("Write ")[2])
    result = study("--config-dir", "own", "data=digits", "epochs=1", recommended, "dry_run=true")
    assert result.code == 0, result.err
    assert "outputs/default/L¹-lam0.0001-seed0" in result.out


def test_one_bad_point_stops_the_whole_sweep_and_all_bad_points_are_listed(study, tmp_path):
    result = study("-m", "data=digits", "reg=l1", "lam=1e-3,-1,abc")
    assert result.code == 1
    assert len(result.err.splitlines()) == 2
    assert "lam=-1" in result.err
    assert "lam=abc" in result.err
    assert not (tmp_path / "outputs").exists()


def test_an_output_folder_that_cannot_be_written(study, tmp_path):
    (tmp_path / "outputs").write_text("a file where the folder should be")
    result = study("data=digits", "epochs=1")
    assert result.code == 1
    assert re.fullmatch(r"study: error: outputs/default cannot be written to \(.*\).*\n", result.err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the test above takes the same path")
def test_a_read_only_output_folder(study, tmp_path):
    (tmp_path / "outputs").mkdir(mode=0o500)
    result = study("data=digits", "epochs=1")
    assert result.code == 1
    assert "cannot be written to" in result.err


def test_a_folder_in_the_way_is_not_touched(study, tmp_path):
    study("data=digits", "epochs=1")
    (run,) = run_folders(tmp_path / "outputs" / "default")
    for file in run.iterdir():
        file.unlink()
    (run / "thesis.txt").write_text("mine")
    result = study("data=digits", "epochs=1")
    assert result.code == 1
    assert "is not the run that its name says" in result.err
    assert (run / "thesis.txt").read_text() == "mine"
    assert [file.name for file in run.iterdir()] == ["thesis.txt"]


def test_an_option_hidden_by_a_shipped_one_is_warned_of(study, tmp_path):
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "l1.yaml").write_text("_target_: study.regularizers.penalties.L2\nlam: 1\n")
    result = study("--config-dir", "own", "reg=l1", "data=digits", "epochs=1")
    assert result.code == 0
    assert "is ignored, because study has an option of the same name" in result.err
