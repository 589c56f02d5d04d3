"""Which runs can be trained in lockstep, and which of them together."""

import json
from collections.abc import Sequence
from functools import lru_cache

import torch

from study.config.build import build_dataset, build_model, build_regularizer, reg_parts
from study.config.devices import CUDA, kind_here
from study.config.run_config import RunConfig
from study.models import MLP
from study.regularizers import Regularizer
from study.regularizers.data_side import LabelSmoothing
from study.regularizers.early_stopping import EarlyStopping
from study.regularizers.model_side import Dropout
from study.regularizers.penalties import Penalty, Unpenalized
from study.training.compiled.in_step import have_one_order
from study.training.lockstep import networks
from study.training.lockstep.inputs import CHANGING
from study.training.lockstep.penalties import OF_TENSORS, OF_UNITS, form_of
from study.training.lockstep.rules import RULES

OWN_PACKAGE = "study.regularizers."
WITHOUT_FORMULA = (Unpenalized, EarlyStopping, Dropout, LabelSmoothing, *CHANGING)
FROM_CONFIG = ("batch_size", "budget", "epochs", "precision", "score_train", "device", "threads")


def reason_against(config: RunConfig) -> str | None:
    """Why a run cannot be trained in lockstep; None if it can."""
    kind = kind_here(config.device)
    if kind not in ("cpu", CUDA):
        return f"device={kind} is not supported"
    if kind == "cpu" and config.threads > 1:
        return f"threads={config.threads}: several threads of a CPU would share a run's sums in another way"
    if config.precision == "bfloat16":
        return "precision=bfloat16 is not supported"
    if config.optimizer["_target_"] not in RULES:
        return f"optimizer={config.optimizer['option']} has no batched form"
    regularizers = [build_regularizer(part) for part in reg_parts(config)]
    for part, regularizer in zip(reg_parts(config), regularizers, strict=True):
        if (reason := _reason_against(regularizer)) is not None:
            return f"reg={part['option']} {reason}"
    if (reason := _reason_together(regularizers)) is not None:
        return reason
    reason = _of_model(json.dumps([config.data, config.model], default=str), kind)
    return reason and f"model={config.model['option']}: {reason}"


def group_of(config: RunConfig) -> str:
    """What is equal for runs that can be trained together: data set, architecture, budget, optimizer and precision."""
    data = {key: value for key, value in config.data.items() if key != "label_noise"}
    model = {key: value for key, value in config.model.items() if key != "dropout"}
    same = [getattr(config, key) for key in FROM_CONFIG]
    return json.dumps([data, model, config.optimizer["_target_"], same], sort_keys=True, default=str)


def _reason_against(regularizer: Regularizer) -> str | None:
    if type(regularizer) in WITHOUT_FORMULA:
        return None
    kinds = set(regularizer.in_step or {})
    if kinds and kinds <= {*OF_TENSORS, *OF_UNITS} and type(regularizer).__module__.startswith(OWN_PACKAGE):
        return None
    if form_of(regularizer) is None or not isinstance(regularizer, Penalty) or _acts_otherwise(regularizer):
        return "has no batched form"
    try:
        of_both = torch.func.vmap(torch.func.grad_and_value(regularizer.value))(torch.ones(2, 3, 4))
    except Exception as error:  # the user's code may do anything
        first = (str(error).splitlines() or [""])[0]
        return f"cannot be computed for several runs at once ({type(error).__name__}: {first})"
    return None if of_both[1].shape == (2,) else "has no batched form"


def _acts_otherwise(penalty: Penalty) -> bool:
    """Whether a penalty does more than to add its gradient."""
    hooks = ("on_batch", "on_loss", "on_backward", "after_step", "after_epoch", "scored", "choose", "state_dict")
    return any(getattr(type(penalty), hook) is not getattr(Regularizer, hook) for hook in hooks)


def _reason_together(regularizers: Sequence[Regularizer]) -> str | None:
    kinds = [kind for regularizer in regularizers for kind in regularizer.in_step or {}]
    forms = sum(form_of(regularizer) is not None for regularizer in regularizers)
    changing = sum(isinstance(regularizer, CHANGING) for regularizer in regularizers)
    if not have_one_order(kinds) or forms > 1 or changing > 1 or (forms and "decay" in kinds):
        return "its regularizers act in an order of their own"
    return None


@lru_cache(maxsize=100)
def _of_model(content: str, kind: str) -> str | None:
    """Why a model cannot be trained in lockstep on a kind of device, given its config and that of its data as JSON."""
    data, model = json.loads(content)
    dataset = build_dataset(data)
    with torch.random.fork_rng(devices=[]):
        built = build_model(model, dataset)
    if type(built) is not MLP and kind == "cpu":
        return "on a CPU, only mlp and linear have bytes that do not depend on their companions"
    return networks.reason_against(built, dataset.image_shape)
