"""Hydra composes a config in nearly every test. This takes half as long here, and none of it is traced for coverage.

Nothing that a test can see changes: what is remembered depends on no file that a test changes, and what is left out is
not used. Tests of the command as a process, and `run_command`, have Hydra as it is.
"""

import copy
import functools
import pickle
import sys

import hydra
import omegaconf
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra.core.object_type import ObjectType
from omegaconf import _utils, grammar_parser

from study.config.folders import CONF

SHIPPED = {str(CONF), "hydra.conf", ""}  # the options of study and of Hydra, and Hydra's schemas
PLAIN = {bool, int, float, str, bytes, dict, list, tuple, type(None)}


def make_faster() -> None:
    """Let this process compose configs in less time. Hydra 1.4 stays as it is: its inner functions are others."""
    if not hydra.__version__.startswith("1.3."):
        return
    ConfigRepository.load_config = _remembering(ConfigRepository.load_config)
    CachingConfigRepository.__init__ = _with_shallow_copy
    ConfigLoaderImpl.load_configuration = _untraced(ConfigLoaderImpl.load_configuration)
    defaults_list._create_interpolation_map = _if_used(defaults_list._create_interpolation_map)
    _replace(grammar_parser.parse, functools.lru_cache(maxsize=1000)(grammar_parser.parse))
    for function, of_text in (
        (_utils.is_structured_config, lambda text: False),
        (_utils._is_missing_value, lambda text: text == "???"),
    ):
        _replace(function, _quick_for_plain(function, of_text))


def _replace(function, new) -> None:
    """Replace a function in each module of Hydra and OmegaConf that has imported it."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("hydra", "omegaconf") and getattr(module, function.__name__, None) is function:
            setattr(module, function.__name__, new)


def _remembering(load):
    """Read and parse each shipped file once; each caller gets a copy, because Hydra changes what it gets."""
    known: dict[tuple[str, str, str], bytes] = {}

    @functools.wraps(load)
    def load_config(self, config_path):
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.path not in SHIPPED:
            return load(self, config_path)
        key = (source.provider, source.path, config_path)
        if key not in known:
            known[key] = pickle.dumps(load(self, config_path))
        return pickle.loads(known[key])

    return load_config


def _with_shallow_copy(self, delegate) -> None:
    """Copy no config sources: Hydra replaces their list, and changes none of them."""
    self.delegate, self.cache = copy.copy(delegate), {}


def _untraced(function):
    """Pause the tracer of coverage, which watches each call in Hydra too, and finds no line of ours there."""

    @functools.wraps(function)
    def run(*arguments, **settings):
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*arguments, **settings)
        finally:
            sys.settrace(tracer)

    return run


def _if_used(create):
    """Make the config of what was chosen only for a defaults list with an interpolation, which alone reads it."""

    @functools.wraps(create)
    def create_interpolation_map(overrides, defaults, *others):
        used = any(default.is_interpolation() for default in defaults)
        return create(overrides, defaults, *others) if used else omegaconf.DictConfig({})

    return create_interpolation_map


def _quick_for_plain(function, of_text):
    """Answer for values of Python's own types without asking whether they are nodes of a config."""

    @functools.wraps(function)
    def quick(value):
        if type(value) not in PLAIN:
            return function(value)
        return type(value) is str and of_text(value)

    return quick
