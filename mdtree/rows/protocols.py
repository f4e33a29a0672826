"""Protocols: versioned ways of measuring. A tree records the protocol of its rows."""

from __future__ import annotations

__all__ = ["DEFAULT_PROTOCOL", "PROTOCOLS"]

PROTOCOLS: dict[str, str] = {
    "standard-1": "mdtree's own: better defined, with standard errors, and far cheaper",
    "paper-1": "as the tables of Zhou et al. (ICML 2024) were made, for trees fitted on them",
}

DEFAULT_PROTOCOL = "standard-1"
