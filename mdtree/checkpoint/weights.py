"""From what a file holds to weights by name: containers and wrappers' prefixes come off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from mdtree.exceptions import UnreadableError
from mdtree.spelling import nearest

__all__ = ["Found", "find_weights", "unwrapped", "wrapping"]

T = TypeVar("T")

# where trainers put the weights, in the order in which they are looked for; the averaged ones
# (EMA, SWA) lie elsewhere in the loss landscape and are taken only when they are asked for
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")

_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel and averaged models; torch.compile


@dataclass(frozen=True, kw_only=True)
class Found:
    """Weights by name, and what had to be decided to find them."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def find_weights(content: Any, *, key: str | None, name: str) -> Found:
    """Find the weights in the content of a file; `key` asks for one entry of several."""
    if not isinstance(content, Mapping):
        raise UnreadableError(
            f"{name} holds a {type(content).__name__}, not weights by name: save model.state_dict()"
        )
    if {"state", "param_groups"} <= content.keys():
        raise UnreadableError(
            f"{name} holds the state of an optimiser, not weights: give the file of "
            "model.state_dict() that lies beside it"
        )
    held = [str(k) for k, value in content.items() if _is_state_dict(value)]
    if key is not None:
        return Found(tensors=_keyed(content, key, held, name), notes=(f"weights of {key!r}",))
    if _is_state_dict(content):
        return Found(tensors=unwrapped(content), notes=())
    known = [container for container in _CONTAINERS if container in held]
    if not known:
        raise UnreadableError(
            f"{name} holds {', '.join(map(str, list(content)[:8])) or 'nothing'}, "
            f"and weights under none of {', '.join(_CONTAINERS)}"
            + (f"; say which with --weights-key: {', '.join(held)}" if held else "")
        )
    others = [other for other in held if other != known[0]]
    notes = (f"weights of {known[0]!r}; the file also holds {', '.join(others)}",) if others else ()
    return Found(tensors=unwrapped(content[known[0]]), notes=notes)


def _keyed(content: Mapping[str, Any], key: str, held: list[str], name: str) -> dict[str, Tensor]:
    if key not in content:
        raise UnreadableError(
            f"{name} has no entry {key!r}{nearest(key, held)}; "
            f"it holds weights under {', '.join(held) or 'no entry'}"
        )
    if not _is_state_dict(content[key]):
        raise UnreadableError(f"{name}: the entry {key!r} holds no weights by name")
    return unwrapped(content[key])


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


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
