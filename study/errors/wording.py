"""Messages on one line: those of Hydra and OmegaConf in a user's words."""

import re

from hydra.errors import OverrideParseException

# OmegaConf's types, in words.
KINDS = {"Float": "a number", "Integer": "a whole number", "Bool": "true or false", "String": "a text"}
IN_A_LIST = r"^Error when parsing index: \d+, string: .*? out of \[.*?\]\.\s*"  # said first by Hydra 1.4
EVALUATING = r"Error parsing override '([^\n]*)'\n\w+ while evaluating '([^\n]*)': "
REWORDED = (  # messages of Hydra's, in words of a user
    (EVALUATING + r"Unknown function '(\w+)'\s+Available: ([\w,]+)", r"\1: there is no function \3; allowed: \4"),
    (EVALUATING, r"\1: \2 has arguments that the function does not take"),
    (r"force-add of config groups is not supported: '(.*)'", r"\1: an option of a group is given without ++: reg=l1"),
)


def one_line(error: BaseException) -> str:
    """The message of an error on one line.

    Hydra and OmegaConf print hints, lists of options and their types below the message; the hints and lists are
    kept, the types of their internals are not.
    """
    if not str(error).strip() and error.__cause__ is not None:  # Hydra wraps OmegaConf's errors in empty ones
        error = error.__cause__
    if isinstance(error, OverrideParseException) and not re.search("Unknown function|while evaluating", str(error)):
        from study.errors.spelling import explained  # whose grammar --help and its like do without

        line = explained(error.override)
        if line is not None:
            return line
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'file system'}: {error.strerror}"
    unknown = re.match(r"Could not override '([^']*)'", str(error))
    if unknown:  # Hydra would recommend +key=value, which is refused as well
        return f"{unknown[1]} is not a key of the config; study --help lists the keys"
    ambiguous = re.match(r"Ambiguous value for argument '(([^=]*)=.*)'$", str(error), re.MULTILINE)
    if ambiguous:
        return (
            f"{ambiguous[1]}: one value is allowed here. A list is written {ambiguous[2]}=[a,b], a text with commas"
            f" \"{ambiguous[2]}='a,b'\""
        )
    message = re.sub(IN_A_LIST, "", str(error), flags=re.DOTALL)
    for pattern, told in REWORDED:
        if found := re.match(pattern, message):
            return found.expand(told)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    merging = "Error merging override "
    if lines and lines[0].startswith(merging) and error.__cause__ is not None:
        cause = str(error.__cause__).splitlines()[0]
        found = re.search(r"could not be converted to (\w+)|is not a valid (\w+)", cause)
        kind = (found[1] or found[2].capitalize()) if found else ""
        allowed = f"{KINDS[kind]} is allowed" if kind in KINDS else cause
        if cause.startswith(("Cannot merge DictConfig with ListConfig", "Cannot merge incompatible container types")):
            allowed = "a list cannot take the place of a mapping here. Write it into a YAML file of yours"
        return f"{lines[0].removeprefix(merging).removeprefix('++')}: {allowed}"
    internals = ("reference_type=", "object_type=", "See https://hydra.cc", "Config search path", "provider=")
    lines = [line for line in lines if not line.startswith(internals)]
    if not lines:
        return type(error).__name__
    text = lines[0]
    for line in lines[1:]:
        if line.startswith("full_key:"):
            key = line.removeprefix("full_key:").strip()
            text = f"{key}: {text}" if key and f"'{key}'" not in text else text
        else:
            text += (" " if text.endswith((":", ".", ",")) or line.startswith("(") else ", ") + line
    return re.sub(r"\w+ raised while resolving interpolation: ", "cannot be resolved: ", text).replace(":,", ":")


def told_of_hydra(error: BaseException) -> str | None:
    """One line for an error that arose within Hydra, or in reading YAML for it: some mistakes come through as they are.

    Returns:
        None for an error that arose elsewhere.
    """
    modules, trace = [], error.__traceback__
    while trace is not None:
        modules.append(trace.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        trace = trace.tb_next
    if isinstance(error, RecursionError) and {"hydra", "yaml"} & set(modules):
        return "an option's YAML file is nested too deeply, or its defaults lead back to itself"
    if not modules or modules[-1] not in ("hydra", "antlr4", "yaml"):
        return None
    a_group = "a group takes the name of an option, such as reg=l1; study --help lists them"
    if str(error).startswith("Config group override must be a string"):  # of an option that is a number: data=1
        return a_group
    if isinstance(error, ValueError):
        return one_line(error)
    return f"something in the command line, or in an option's YAML file, cannot be read; {a_group}"
