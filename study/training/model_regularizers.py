"""Find regularizers inside a model that `reg` does not set: dropout, normalization, code that differs in training.

It is allowed, because the user chooses the model. It is named in status.json and below every table.
"""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from study.config.build import build_model, model_without_reg
from study.config.run_config import RunConfig
from study.data import DataSet, Part
from study.errors.faults import is_fault
from study.models import MLP
from study.randomness import Stream, global_stream

IMAGES = 32  # number of images on which training mode and eval mode of a model are compared
ROUNDING = 1e-4  # relative to the largest logit: smaller differences are rounding
DROPPING = re.compile("dropout|drop_?path|drop_?block|stochastic_?depth", re.IGNORECASE)
NORMALIZING = re.compile(r"norm(\d?d)?$|(batch|layer|group|instance|rms)_?norm", re.IGNORECASE)
REPARAMETRIZED = {  # from a class that torch adds to a module to the name of the function that adds it
    **{"_WeightNorm": "weight_norm", "WeightNorm": "weight_norm"},
    **{"_SpectralNorm": "spectral_norm", "SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"},
}
WITH_DROPOUT = (nn.RNNBase, nn.MultiheadAttention)  # layers with a dropout of their own


def model_regularizers(config: RunConfig, dataset: DataSet, train: Part, log: Callable[[str], None]) -> list[str]:
    """Name what regularizes inside a run's model, apart from the options that the run's regularizers set.

    Known modules are found by their class. A module of another class counts if its code acts differently in training
    mode and in eval mode, or draws random numbers. A few images show this. For this test the model is built once more.
    The model of the run and all random generators do not change.

    Args:
        config: the run's config.
        dataset: the run's data set.
        train: the training split.
        log: gets a line if the model cannot be tested.

    Returns:
        Names of classes, such as `Dropout` or `BatchNorm1d`, each once. `<class>.forward` if its code acts so.
    """
    group = model_without_reg(config)
    try:
        with torch.device("meta"):
            model = build_model(group, dataset)
    except Exception:  # a user's model may need the options of its regularizers
        group = config.model
        with torch.device("meta"):
            model = build_model(group, dataset)
    found = _named(model)
    if type(model) is not MLP:  # the MLP contains known modules only
        images = train.take(slice(0, min(IMAGES, len(train))))[0].cpu()
        try:
            with _generators_kept(), global_stream(config.seed, Stream.INITIALIZATION):
                found += _by_what_it_does(build_model(group, dataset), images)
        except Exception as error:  # the user's code may raise anything; training meets the same error then
            if is_fault(error):
                raise
            log(f"cannot test whether the model acts differently in training ({type(error).__name__}: {error})")
    return list(dict.fromkeys(found))


def _named(model: nn.Module) -> list[str]:
    """The names of the modules that are known to regularize."""
    return [name for module in model.modules() for name in _names(module)]


def _names(module: nn.Module) -> list[str]:
    """The names of the known regularizers of a module, without those of the modules inside it."""
    kind = type(module).__name__
    hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
    found = [REPARAMETRIZED[hook] for hook in hooks if hook in REPARAMETRIZED]
    if isinstance(module, MLP):
        return found + (["Dropout"] if module.dropout else [])
    if kind in REPARAMETRIZED:
        return [*found, REPARAMETRIZED[kind]]
    if isinstance(module, WITH_DROPOUT) and module.dropout:
        return [*found, f"{kind}.dropout"]
    return found + ([kind] if _acts(module) else [])


def _acts(module: nn.Module) -> bool:
    """Whether a module drops or normalizes, judged by its class or the name of its class."""
    dropping = isinstance(module, nn.modules.dropout._DropoutNd) or DROPPING.search(type(module).__name__)
    if dropping:
        shares = [getattr(module, key) for key in ("p", "drop_prob", "drop_rate", "prob") if hasattr(module, key)]
        return not shares or any(shares)
    if isinstance(module, nn.RReLU):
        return module.lower != module.upper
    kinds = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.CrossMapLRN2d)
    if isinstance(module, kinds):
        return True
    # A container of layers may have such a name too. It does not count: the layer in it is found by itself.
    return bool(NORMALIZING.search(type(module).__name__)) and not any(True for _ in module.children())


def _by_what_it_does(model: nn.Module, images: Tensor) -> list[str]:
    """Name the classes, except known modules, whose code acts differently in training mode and in eval mode.

    Args:
        model: a model used only for this test, because the test changes it.
        images: (n, *image_shape).
    """
    model.eval()
    expected = _logits(model, images, seed=0)
    own = f"{type(model).__name__}.forward"
    if _differ(expected, _logits(model, images, seed=1)):
        return [own]  # random in eval mode too
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model.train()
    unknown = [module for module in model.modules() if module.training and not _names(module)]
    found = []
    for kind in dict.fromkeys(map(type, unknown)):  # one class at a time in training mode, all others in eval mode
        model.eval()
        for module in unknown:
            module.training = type(module) is kind
        if any(_differ(expected, _logits(model, images, seed)) for seed in (0, 1)):
            found.append(f"{kind.__name__}.forward")
    if not found and any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)):
        return [own]  # its logits do not differ, but it changes weights
    return found


def _logits(model: nn.Module, images: Tensor, seed: int) -> Tensor:
    """Compute the logits (n, classes) after seeding all random generators."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    return model(images.clone()).detach()


def _differ(one: Tensor, other: Tensor) -> bool:
    finite = one[one.isfinite()]
    size = float(finite.abs().max()) if finite.numel() else 1.0
    return one.shape != other.shape or not torch.allclose(one, other, rtol=0, atol=ROUNDING * size, equal_nan=True)


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Restore the global generators of Python and NumPy after the block. `global_stream` restores torch's."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
