"""Put error messages on one line, and those of Hydra and OmegaConf in a user's words."""

import re
from difflib import SequenceMatcher

from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig

# OmegaConf's types, in words.
KINDS = {"Float": "a number", "Integer": "a whole number", "Bool": "true or false", "String": "a text"}
IN_A_LIST = r"^Error when parsing index: \d+, string: .*? out of \[.*?\]\.\s*"  # Hydra 1.4 adds this prefix
CLOSE = 0.5  # similarity of names, in [0, 1], from which one is suggested for the other
EVALUATING = r"Error parsing override '([^\n]*)'\n\w+ while evaluating '([^\n]*)': "
NO_VALUE = r"Invalid type assigned: .* is not a subclass of|Cannot assign .* to Dict|field '.*' is not Optional"
REWORDED = (  # pattern of a message of Hydra's, and the words for it
    (EVALUATING + r"Unknown function '(\w+)'\s+Available: ([\w,]+)", r"\1: there is no function \3. Allowed: \4"),
    (EVALUATING, r"\1: \2 has an argument that the function does not accept"),
    (r"force-add of config groups is not supported: '(.*)'", r"\1: ++ is not allowed with a group. Write reg=l1"),
)


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line.

    Hydra and OmegaConf print hints, lists of options and internal types below the message. The hints and lists are
    kept, the internal types are not.
    """
    if not str(error).strip() and error.__cause__ is not None:  # Hydra wraps errors of OmegaConf in empty ones
        error = error.__cause__
    if isinstance(error, OverrideParseException) and not re.search("Unknown function|while evaluating", str(error)):
        from study.errors.spelling import explained  # loads Hydra's grammar, which --help does not need

        line = explained(error.override)
        if line is not None:
            return line
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'file system'}: {error.strerror}"
    if isinstance(error, MissingConfigException) and (line := _unknown_option(error)):
        return line
    unknown = re.match(r"Could not override '([^']*)'", str(error))
    if unknown:  # Hydra's hint is +key=value, which study refuses as well
        return f"{unknown[1]} is not a key of the config. study --help lists all keys"
    ambiguous = re.match(r"Ambiguous value for argument '(([^=]*)=.*)'$", str(error), re.MULTILINE)
    if ambiguous:
        return (
            f"{ambiguous[1]}: one value is allowed here. For a list, write {ambiguous[2]}=[a,b]. For a text with"
            f" commas, write \"{ambiguous[2]}='a,b'\""
        )
    message = re.sub(IN_A_LIST, "", str(error), flags=re.DOTALL)
    for pattern, words in REWORDED:
        if found := re.match(pattern, message):
            return found.expand(words)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    merging = "Error merging override "
    if lines and lines[0].startswith(merging) and error.__cause__ is not None:
        cause = str(error.__cause__).splitlines()[0]
        found = re.search(r"could not be converted to (\w+)|is not a valid (\w+)", cause)
        kind = (found[1] or found[2].capitalize()) if found else ""
        allowed = f"{KINDS[kind]} is allowed" if kind in KINDS else cause
        if re.match(NO_VALUE, cause):
            allowed = _keys_below(error.__cause__)
        if cause.startswith(("Cannot merge DictConfig with ListConfig", "Cannot merge incompatible container types")):
            allowed = "a list cannot replace a mapping here. Write it in a YAML file of your own"
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


def _keys_below(error: BaseException) -> str:
    """Return what is allowed for a key that takes no value, because it has keys of its own."""
    key, beside = getattr(error, "full_key", None), getattr(error, "parent_node", None)
    node = beside._get_node(key) if key and isinstance(beside, DictConfig) else None
    below = [f"{key}.{name!s}" for name in node] if isinstance(node, DictConfig) else []
    listed = f" ({', '.join(below)})" if below else f", such as {key}.reg=l1" if key == "filter" else ""
    return f"it takes no value. Give the keys below it{listed}"


def _unknown_option(error: MissingConfigException) -> str | None:
    """Return one line for an option that does not exist; None if the error is about something else."""
    found = re.match(r"(?:In '(?P<file>[^']*)': )?Could not find '(?P<path>[^']*)'", str(error))
    if not found:
        return None
    listed = re.search(r"Available options in '(.*)':$", str(error), re.MULTILINE)
    group = listed[1] if listed else found["path"].rpartition("/")[0]
    name = found["path"].removeprefix(f"{group}/")
    where = "" if found["file"] in (None, "config", "analysis") else f" (in {found['file']}.yaml)"
    options = list(error.options or ())
    allowed = f"Allowed: {', '.join(options)}" if options else "study --help lists all options"
    close = max(options, key=lambda option: SequenceMatcher(None, name.lower(), option).ratio(), default="")
    near = SequenceMatcher(None, name.lower(), close).ratio() >= CLOSE
    hint = f". Did you mean {close}?" if near else ". Options of your own require --config-dir DIR"
    return f"{group}={name}{where}: there is no such option. {allowed}{hint}"


def told_of_hydra(error: BaseException) -> str | None:
    """Return one line for an exception raised inside Hydra or its YAML reader; None for one raised elsewhere.

    For some mistakes of the user, Hydra raises a plain exception instead of a HydraException.
    """
    modules, variables, trace = [], {}, error.__traceback__
    while trace is not None:
        modules.append(trace.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        variables = trace.tb_frame.f_locals
        trace = trace.tb_next
    if isinstance(error, RecursionError) and {"hydra", "yaml"} & set(modules):
        return "an option's YAML file is nested too deeply, or its defaults list leads back to itself"
    if not modules or modules[-1] not in ("hydra", "antlr4", "yaml"):
        return None
    a_group = "a group takes the name of an option, such as reg=l1. study --help lists the options"
    if str(error).startswith("Config group override must be a string"):  # for a number as option: data=1
        override = variables.get("override")  # Hydra's message does not name it
        return f"{override.input_line}: {a_group}" if isinstance(override, Override) else a_group
    if isinstance(error, ValueError):
        return one_line(error)
    return f"the command line or an option's YAML file has an error; {a_group}"
