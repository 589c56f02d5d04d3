"""Errors with one-line messages: mistakes in the input and faults of the machine. Any other error is a bug."""

from study.errors.exceptions import USER_ERRORS, ConfigError, StudyError
from study.errors.faults import MachineFaultError
from study.errors.wording import one_line

__all__ = ["USER_ERRORS", "ConfigError", "MachineFaultError", "StudyError", "one_line"]
