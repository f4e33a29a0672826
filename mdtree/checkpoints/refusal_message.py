"""Why a torch.save file was refused: the names in it, and what the user can do."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

from mdtree.exceptions import UnreadableError, UnsafeError
from mdtree.messages import listed

__all__ = ["refusal"]

_SHOWN = 3  # names in a message; more would bury the advice

_LONGEST = 300  # characters of a name or a reason

# how torch words its refusal of the first class or function that is not admitted
_NAMED = re.compile(r"GLOBAL (\S+) (?:was not an allowed global|whose module)")


def refusal(path: Path, error: Exception) -> UnsafeError | UnreadableError:
    """Turn torch's refusal into an error of mdtree; currently admitted names are not blamed."""
    names = [name[:_LONGEST] for name in _refused(path, str(error))]
    if not names:
        return UnreadableError(
            f"{path} is damaged, or was saved with settings that cannot be read without running "
            f"code, such as pickle_protocol: {_reason(str(error))}; "
            "save the state_dict again with plain torch.save"
        )
    shown = listed(names, most=_SHOWN)
    if any(name.startswith("torch.nn.modules.") for name in names):
        return UnsafeError(
            f"{path} contains a whole pickled module ({shown}), and loading it would run code: "
            "save model.state_dict() instead"
        )
    advice = "save the state_dict alone"
    if len(names) <= _SHOWN and all(_is_plain_class(name) for name in names):
        advice += ", or add " + " ".join(f"--trust {name}" for name in names) + " to skip them"
    return UnsafeError(
        f"{path} contains objects that could run code: {shown}; nothing was loaded; {advice}"
    )


def _refused(path: Path, message: str) -> list[str]:
    named: list[str] = _NAMED.findall(message)
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)) or named
    except Exception:  # noqa: BLE001 - damaged, or legacy, which has no such list
        return named


def _is_plain_class(name: str) -> bool:
    """Guess from a name whether it is a class of some project, without importing anything."""
    package, _, rest = name.partition(".")
    attribute = rest.rpartition(".")[2]
    return attribute[:1].isupper() and package not in sys.stdlib_module_names


def _reason(message: str) -> str:
    """Extract the reason from torch's message, without its advice to load the file unsafely."""
    core = message.partition("WeightsUnpickler error: ")[2] or message
    lines = (line.strip() for line in core.splitlines() if line.strip())
    return next(lines, "no reason given")[:_LONGEST]
