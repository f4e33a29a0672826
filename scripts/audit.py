"""Look up known vulnerabilities of all that a user can install: what is locked, and the floors.

    python scripts/audit.py              # part of `make check`
    python scripts/audit.py --strict     # the weekly job: what could not be checked is a failure

Two lists are checked: every package of constraints/cpu.txt, which holds all extras, and the oldest
release of each package that pyproject.toml admits for users.  Exit code 1 if anything is known of
them.  Where pip-audit or the index cannot be reached, one line says so, and the exit code is 0, or
2 with --strict: a check without a network is not a failure, and it is not a pass either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TIME = 120  # seconds for each list
ROOT = Path(__file__).parent.parent
FOR_USERS = ("hf", "ray", "parquet", "pandas")  # extras; the others are for who works on mdtree


def locked(folder: Path) -> dict[str, str]:
    """Read the versions that are locked for this Python and system."""
    lines = (folder / "constraints" / "cpu.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): str(pin.specifier).lstrip("=") for pin in here}


def floors(folder: Path) -> dict[str, str]:
    """Read the oldest release of each package that a user may have."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in FOR_USERS for line in extras[name])]
    oldest = {}
    for wanted in map(Requirement, lines):
        (floor,) = [
            clause.version for clause in wanted.specifier if clause.operator in (">=", "==")
        ]
        oldest[canonicalize_name(wanted.name)] = floor
    return oldest


def audited(versions: dict[str, str]) -> dict[str, list[dict[str, object]] | None]:
    """Ask pip-audit: package -> what is known of it; None where nothing could be learnt."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(wanted)]
        command += ["--no-deps", "--disable-pip", "--format", "json"]
        command += ["--timeout", "10", "--progress-spinner=off"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=TIME, check=False)
    if not ran.stdout.startswith("{"):
        raise OSError((ran.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1])
    return {
        package["name"]: package.get("vulns")  # skipped packages have none
        for package in json.loads(ran.stdout)["dependencies"]
    }


def checked(title: str, versions: dict[str, str]) -> tuple[bool, bool]:
    """Print what is known of one list; say whether all was checked, and whether it is clean."""
    try:
        answers = audited(versions)
    except subprocess.TimeoutExpired:
        print(f"{title} not checked: the index did not answer in {TIME} seconds")
        return False, True
    except OSError as error:
        print(f"{title} not checked: {error!s:.150}")
        return False, True
    unknown = [name for name in versions if answers.get(name) is None]
    faults = [(name, fault) for name, known in answers.items() for fault in known or []]
    for name, fault in faults:
        fixed = ", ".join(map(str, fault.get("fix_versions") or [])) or "no version yet"
        print(f"{name} {versions.get(name)}: {fault['id']}, mended in {fixed}")
    if len(unknown) == len(versions):
        print(f"{title} not checked: the index knows none of them here")
    else:
        rest = f"; not checked: {', '.join(unknown)}" if unknown else ""
        known = f"{len(faults)} known vulnerabilities"
        print(f"{title}: {len(versions) - len(unknown)} packages checked, {known}{rest}")
    return not unknown, not faults


def main() -> int:
    """Check both lists of this project, or of another folder of the same form."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return 0
    words = [word for word in sys.argv[1:] if word != "--strict"]
    folder = Path(words[0]) if words else ROOT
    answers = [checked("locked", locked(folder)), checked("floors", floors(folder))]
    if not all(clean for _, clean in answers):
        return 1
    return 2 if "--strict" in sys.argv and not all(whole for whole, _ in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
