"""From the content of a file to weights by name, without containers and wrappers' prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from mdtree.exceptions import UnreadableError
from mdtree.messages import listed, nearest

__all__ = ["FoundWeights", "find_weights", "unwrapped", "wrapping"]

T = TypeVar("T")

# where trainers put the weights, in order of search; averaged weights (EMA, SWA) are at another
# point of the loss landscape, and are used only on request
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")

_SHOWN = 8  # names in a message

_COUNTER = "n_averaged"  # of averaged models
_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel and averaged models; torch.compile


@dataclass(frozen=True, kw_only=True)
class FoundWeights:
    """Weights by name, and notes on how they were found."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def find_weights(content: Any, *, key: str | None, name: str) -> FoundWeights:
    """Find the weights in the content of a file.

    Args:
        content: The content of the file.
        key: The entry with the weights, in files with several.
        name: The name of the file, for errors.

    Raises:
        UnreadableError: There are no weights, or not under this key.
    """
    if not isinstance(content, dict):
        raise UnreadableError(
            f"{name} contains a {type(content).__name__}, not named weights: "
            "save model.state_dict()"
        )
    if "state" in content and "param_groups" in content:
        raise UnreadableError(
            f"{name} contains the state of an optimizer, not weights: use the file with "
            "model.state_dict() instead"
        )
    entries = [f"{k!s:.80}" for k, value in dict.items(content) if _is_state_dict(value)]
    if key is not None:
        return FoundWeights(
            tensors=_keyed(content, key, entries, name), notes=(f"weights of {key!r}",)
        )
    if _is_state_dict(content):
        return FoundWeights(tensors=_plain(content), notes=())
    known = [container for container in _CONTAINERS if container in entries]
    if not known:
        raise UnreadableError(
            f"{name} contains {_list(list(content)[:_SHOWN]) or 'nothing'}, "
            f"but no weights under {', '.join(_CONTAINERS)}"
            + (f"; choose one with --weights-key: {_list(entries)}" if entries else "")
        )
    others = [other for other in entries if other != known[0]]
    notes = (f"weights of {known[0]!r}; the file also contains {_list(others)}",) if others else ()
    return FoundWeights(tensors=_plain(content[known[0]]), notes=notes)


def _keyed(content: dict[str, Any], key: str, entries: list[str], name: str) -> dict[str, Tensor]:
    if key not in content:
        raise UnreadableError(
            f"{name} has no entry {key!r}{nearest(key, entries)}; "
            f"it has weights under {_list(entries) or 'no entry'}"
        )
    if not _is_state_dict(content[key]):
        raise UnreadableError(f"{name}: the entry {key!r} does not contain named weights")
    return _plain(content[key])


def _is_state_dict(value: Any) -> bool:
    # a pickle may hide the methods of a dictionary that has attributes
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in dict.items(value))
    )


def _plain(content: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return plain tensors, without attributes that a file may have attached to them."""
    return {key: Tensor.detach(tensor) for key, tensor in unwrapped(content).items()}


def _list(names: Iterable[Any]) -> str:
    return listed([f"{name!s:.80}" for name in names], most=_SHOWN)


def wrapping(names: Iterable[str]) -> str:
    """Return the prefix that wrappers put before all of these names, in any order.

    >>> wrapping(["module._orig_mod.0.weight", "module._orig_mod.0.bias"])
    'module._orig_mod.'
    """
    wrapped, prefix = list(names), ""
    while more := next(
        (w for w in _WRAPPERS if wrapped and all(n.startswith(prefix + w) for n in wrapped)), None
    ):
        prefix += more
    return prefix


def unwrapped(tensors: Mapping[str, T]) -> dict[str, T]:
    """Remove what wrappers add: their prefixes, and the counter of averaged models."""
    plain = [name for name in tensors if not _is_counter(name)]
    prefix = wrapping(plain)
    return {name.removeprefix(prefix): tensors[name] for name in plain}


def _is_counter(name: str) -> bool:
    return name.endswith(_COUNTER) and name == wrapping([name]) + _COUNTER
