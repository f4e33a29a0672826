"""Protocols: versioned ways of measuring. A tree records the protocol of its rows."""

from __future__ import annotations

from mdtree.exceptions import MdtreeError
from mdtree.messages import nearest

__all__ = ["DEFAULT_PROTOCOL", "PROTOCOLS", "check_protocol"]

PROTOCOLS: dict[str, str] = {
    "standard-1": "mdtree's own: better defined, with standard errors, and far cheaper",
    "paper-1": "as the tables of Zhou et al. (ICML 2024) were made, for trees fitted on them",
}

DEFAULT_PROTOCOL = "standard-1"


def check_protocol(name: str) -> str:
    """Hold a name to the table of protocols."""
    if name not in PROTOCOLS:
        raise MdtreeError(
            f"protocol {name!r} is unknown{nearest(name, PROTOCOLS)} "
            f"(known: {', '.join(PROTOCOLS)})"
        )
    return name
