"""From what a file holds to weights by name: containers and wrappers' prefixes come off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from mdtree.exceptions import UnreadableError
from mdtree.messages import nearest

__all__ = ["FoundWeights", "find_weights", "unwrapped", "wrapping"]

T = TypeVar("T")

# where trainers put the weights, in the order in which they are looked for; the averaged ones
# (EMA, SWA) lie elsewhere in the loss landscape and are taken only when they are asked for
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")

_SHOWN = 8  # names in a message

_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel and averaged models; torch.compile


@dataclass(frozen=True, kw_only=True)
class FoundWeights:
    """Weights by name, and what had to be decided to find them."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def find_weights(content: Any, *, key: str | None, name: str) -> FoundWeights:
    """Find the weights in the content of a file; `key` asks for one entry of several."""
    if not isinstance(content, dict):
        raise UnreadableError(
            f"{name} holds a {type(content).__name__}, not weights by name: save model.state_dict()"
        )
    if "state" in content and "param_groups" in content:
        raise UnreadableError(
            f"{name} holds the state of an optimiser, not weights: give the file of "
            "model.state_dict() that lies beside it"
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
            f"{name} holds {_list(list(content)[:_SHOWN]) or 'nothing'}, "
            f"and weights under none of {', '.join(_CONTAINERS)}"
            + (f"; say which with --weights-key: {_list(entries)}" if entries else "")
        )
    others = [other for other in entries if other != known[0]]
    notes = (f"weights of {known[0]!r}; the file also holds {_list(others)}",) if others else ()
    return FoundWeights(tensors=_plain(content[known[0]]), notes=notes)


def _keyed(content: dict[str, Any], key: str, entries: list[str], name: str) -> dict[str, Tensor]:
    if key not in content:
        raise UnreadableError(
            f"{name} has no entry {key!r}{nearest(key, entries)}; "
            f"it holds weights under {_list(entries) or 'no entry'}"
        )
    if not _is_state_dict(content[key]):
        raise UnreadableError(f"{name}: the entry {key!r} holds no weights by name")
    return _plain(content[key])


def _is_state_dict(value: Any) -> bool:
    # a pickle may hide the methods of a dictionary that has attributes
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in dict.items(value))
    )


def _plain(content: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors alone, without attributes that a file may have hung on them."""
    return {key: Tensor.detach(tensor) for key, tensor in unwrapped(content).items()}


def _list(names: Iterable[Any]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(f"{name!s:.80}" for name in listed[:_SHOWN]) + more


def wrapping(names: Iterable[str]) -> str:
    """Give the prefix that wrappers put before all of these names, in whatever order they came.

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
    """Take off what wrappers add: their prefixes, and the count of averaged models."""
    plain = [name for name in tensors if name != wrapping([name]) + "n_averaged"]
    prefix = wrapping(plain)
    return {name.removeprefix(prefix): tensors[name] for name in plain}
