"""Mistakes of the user or of the surroundings: one line each. Everything else is a bug and shows a traceback."""

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException


class StudyError(Exception):
    """What is wrong, what is allowed, what to do: one line, shown without a traceback."""


class ConfigError(StudyError):
    """A value or key of the config that is not allowed."""


USER_ERRORS = (StudyError, HydraException, OmegaConfBaseException, OSError, yaml.YAMLError)
