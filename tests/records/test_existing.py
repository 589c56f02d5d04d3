"""Configs are read section by section, with the same result as a whole, also if somebody edited them."""

import pytest
import yaml

from study.records.existing import _parsed, read_config
from tests.conftest import run_folders

EDITED = {
    "as written": lambda text: text,
    "with a comment first": lambda text: "# mine\n" + text,
    "with an anchor in another section": lambda text: text.replace("seed: 0", "seed: &s 0").replace(
        "threads: 1", "threads: *s"
    ),
    "with a text over lines that look like keys": lambda text: text.replace("name: small", 'name: "a\nseed: 7"'),
    "with a key twice": lambda text: text + "epochs: 9\n",
    "as a flow": lambda text: str(yaml.safe_load(text)).replace("None", "null").replace("True", "true"),
    "with Windows line ends": lambda text: text.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("how", EDITED)
def test_sections_give_the_same_as_the_whole(small, how):
    text = EDITED[how]((run_folders(small)[0] / "config.yaml").read_text())
    assert _parsed(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["", "# nothing\n", "- 1\n", "name: [1\nseed: 3\n", "3\n"])
def test_what_is_no_config_is_none(small, text):
    run = run_folders(small)[0]
    (run / "config.yaml").write_text(text)
    assert read_config(run) is None
