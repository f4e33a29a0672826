"""The oldest releases of other packages that are safe to use with untrusted files.

pip requires these too; an older package that was installed in another way is refused where it is
used.  `pyproject.toml` names the same releases or later ones, as a test checks.
"""

from __future__ import annotations

import re

from mdtree.exceptions import MissingExtraError

__all__ = ["OLDEST", "refuse_older"]

OLDEST = {
    "torch": "2.10",  # CVE-2026-24747: loading weights alone could run code
    "transformers": "5.3",  # CVE-2026-4372: a config could reach code of others
    "ray": "2.54",  # CVE-2026-27482
    "pyarrow": "14.0.1",  # CVE-2023-47248
}


def refuse_older(package: str, version: str) -> None:
    """Raise MissingExtraError if a package is older than the oldest safe release."""
    oldest = OLDEST[package]
    if _numbers(version) < _numbers(oldest):
        raise MissingExtraError(
            f"{package} {version} is installed, but mdtree needs {oldest} or later, because earlier"
            f" releases have known vulnerabilities: pip install --upgrade '{package}>={oldest}'"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.10.0a0+cpu is (2, 10, 0)."""
    start = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, start[0].split("."))) if start else ()
