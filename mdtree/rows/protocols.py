"""Protocols: versioned ways of measuring. A tree records the protocol of its rows.

And the seed of all that is drawn by them.
"""

from __future__ import annotations

from mdtree.exceptions import MdtreeError
from mdtree.messages import nearest

__all__ = ["DEFAULT_PROTOCOL", "PROTOCOLS", "check_protocol", "check_seed"]

PROTOCOLS: dict[str, str] = {
    "standard-1": "mdtree's own: better defined, with standard errors, and far cheaper",
    "paper-1": "as the tables of Zhou et al. (ICML 2024) were made, for trees fitted on them",
}

DEFAULT_PROTOCOL = "standard-1"

_LARGEST_SEED = 2**63 - 1  # torch and NumPy take it, and files keep it


def check_protocol(name: str) -> str:
    """Hold a name to the table of protocols."""
    if name not in PROTOCOLS:
        raise MdtreeError(
            f"protocol {name!r} is unknown{nearest(name, PROTOCOLS)} "
            f"(known: {', '.join(PROTOCOLS)})"
        )
    return name


def check_seed(seed: object) -> int:
    """Hold a seed to what all generators take.

    Raises:
        MdtreeError: It is not a whole number, or negative, or too large.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
        raise MdtreeError(
            f"the seed is a whole number from 0 to {_LARGEST_SEED}, got {seed!r:.100}"
        )
    return seed
