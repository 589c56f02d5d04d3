"""Errors that are not bugs: a user's mistake or a problem of the environment. Each is printed in one line."""

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException


class StudyError(Exception):
    """An error whose message says, in one line, what is wrong, what is allowed and what to do.

    It is printed without a traceback.
    """


class ConfigError(StudyError):
    """A key or value of the config is not allowed."""


USER_ERRORS = (StudyError, HydraException, OmegaConfBaseException, OSError, yaml.YAMLError)
