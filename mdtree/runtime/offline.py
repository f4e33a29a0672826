"""Offline mode: no network access while a stranger's recipe or config is processed.

Python announces each connection before it is made, whichever library makes it (audit events,
PEP 578): inside `offline` these are refused.  The libraries of Hugging Face are set to offline too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mdtree.exceptions import MdtreeError, RecipeError

__all__ = ["offline"]

_TO_ADDRESS = frozenset({"socket.connect", "socket.sendmsg", "socket.sendto"})
_EVENTS = _TO_ADDRESS | {"socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}
_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_HUB = "huggingface_hub.constants"  # reads the switches once, when it is imported


class _State(threading.local):
    """On whose behalf this thread works; other threads are not affected."""

    who: str | None = None


_state = _State()
_hooked: list[bool] = []  # a hook cannot be taken away: there is one, for good


@contextmanager
def offline(who: str) -> Iterator[None]:
    """Refuse every connection of this thread; the error names `who` as the cause."""
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked.append(True)
    before, _state.who = _state.who, who
    try:
        with _switches():
            yield
    except MdtreeError:
        raise
    except Exception as error:
        if _gave_up_offline(error):
            raise _refusal(who) from error
        raise
    finally:
        _state.who = before


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Raise if a connection to another machine is about to be made."""
    if event not in _EVENTS or _state.who is None:
        return
    if event in _TO_ADDRESS and (args[1] is None or isinstance(args[1], str | bytes)):
        return  # already connected, or a socket file of this machine
    raise _refusal(_state.who)


def _gave_up_offline(error: BaseException) -> bool:
    """Return whether an error goes back to Hugging Face's library being set to offline."""
    behind = error.__cause__ or error.__context__
    return type(error).__name__ == "OfflineModeIsEnabled" or (
        behind is not None and _gave_up_offline(behind)
    )


def _refusal(who: str) -> RecipeError:
    return RecipeError(
        f"{who} needs network access, which is not allowed: "
        "mdtree measures only weights and data that are on the disk"
    )


@contextmanager
def _switches() -> Iterator[None]:
    """Set the libraries of Hugging Face to offline inside the context."""
    before = {name: os.environ.get(name) for name in _SWITCHES}
    env_offline = any(
        (before[name] or "").upper() in ("1", "ON", "YES", "TRUE") for name in _SWITCHES
    )
    hub = sys.modules.get(_HUB)
    was_offline = hub.HF_HUB_OFFLINE if hub is not None else env_offline
    os.environ.update(dict.fromkeys(_SWITCHES, "1"))
    if hub is not None:
        vars(hub)["HF_HUB_OFFLINE"] = True
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if (hub := sys.modules.get(_HUB)) is not None:
            vars(hub)["HF_HUB_OFFLINE"] = was_offline
