"""Questions of a study: what a form must have, and one clear line for each mistake."""

import pytest

from study.config.hypotheses import Hypothesis, read_hypotheses
from study.errors import ConfigError

HELPS = {"question": "Does L1 help?", "measure": "val_accuracy", "contrast": ["l1", "none"]}


def test_a_contrast_and_an_association_are_read():
    given = {
        "helps": {**HELPS, "equivalence": 0.3},
        "predicts": {"question": "Does the gap?", "measure": "val_accuracy", "with": "kurtosis of hidden.0.weight"},
    }
    helps, predicts = read_hypotheses(given, "classification")
    assert helps == Hypothesis("helps", "Does L1 help?", "val_accuracy", "l1", "none", equivalence=0.3)
    assert (predicts.first, predicts.other) == ("", "kurtosis of hidden.0.weight")
    assert read_hypotheses(None, "classification") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "hypotheses=5: must be a mapping"),
        ({"a": "l1"}, "hypotheses.a=l1: must be a mapping with the keys question"),
        ({"a": {**HELPS, "margin": 1}}, "hypotheses.a.margin is not a key"),
        ({"a": {**HELPS, "question": ""}}, "hypotheses.a.question=: must be a text"),
        ({"a": {**HELPS, "measure": "accuracy"}}, "hypotheses.a.measure=accuracy: allowed: train_accuracy"),
        ({"a": {**HELPS, "measure": "colour of hidden.0.weight"}}, "Example: kurtosis of hidden.0.weight"),
        ({"a": {**HELPS, "with": "accuracy_gap"}}, "either contrast=[l1, none] or with=accuracy_gap"),
        ({"a": {**HELPS, "contrast": None}}, "either contrast=[l1, none] or with=accuracy_gap"),
        ({"a": {**HELPS, "contrast": "l1"}}, "must be two options of reg"),
        ({"a": {**HELPS, "contrast": ["none", "each"]}}, "the second must be another option of reg"),
        ({"a": {**HELPS, "equivalence": 0}}, "hypotheses.a.equivalence=0: must be a number above 0"),
        ({"a": {**HELPS, "contrast": None, "with": "accuracy_gap", "matched": "train_loss"}}, "only a contrast"),
    ],
)
def test_a_mistake_gets_one_clear_line(given, said):
    with pytest.raises(ConfigError) as caught:
        read_hypotheses(given, "classification")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_regression_has_no_accuracy():
    with pytest.raises(ConfigError, match="allowed: train_loss, val_loss"):
        read_hypotheses({"a": HELPS}, "regression")
