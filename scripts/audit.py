"""Look up known vulnerabilities of what mdtree needs, in the versions that are installed here.

    python scripts/audit.py [constraints/cpu.txt]

Exit code 1 if there are any.  Where pip-audit or the index cannot be reached, that is said in one
line, and the exit code is 0: a check without a network is no failure.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TIME = 120  # seconds for all
CONSTRAINTS = Path(__file__).parent.parent / "constraints" / "cpu.txt"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def installed(constraints: Path) -> dict[str, str]:
    """Give the versions of the packages that the constraints or mdtree itself name."""
    lines = [*constraints.read_text().splitlines()]
    lines += importlib.metadata.requires("mdtree-diagnosis") or []
    names = [NAME.match(line) for line in lines if "extra ==" not in line]
    found = {}
    for name in sorted({name[0].lower() for name in names if name}):
        try:
            found[name] = importlib.metadata.version(name).partition("+")[0]  # 2.13.0+cpu
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def audited(versions: dict[str, str]) -> dict[str, list[dict[str, object]] | None]:
    """Ask pip-audit: package -> what is known of it; None where nothing could be learnt."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        words = ["--requirement", str(wanted), "--no-deps", "--disable-pip", "--format", "json"]
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip_audit",
                *words,
                "--timeout",
                "10",
                "--progress-spinner=off",
            ],
            capture_output=True,
            text=True,
            timeout=TIME,
            check=False,
        )
    if not ran.stdout.startswith("{"):
        raise OSError((ran.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1])
    return {
        package["name"]: package.get("vulns")  # skipped packages have none
        for package in json.loads(ran.stdout)["dependencies"]
    }


def main() -> int:
    """Print one line, or one for each vulnerability."""
    versions = installed(Path(sys.argv[1]) if sys.argv[1:] else CONSTRAINTS)
    try:
        found = audited(versions)
    except subprocess.TimeoutExpired:
        print(f"dependencies not checked: the index did not answer in {TIME} seconds")
        return 0
    except OSError as error:
        print(f"dependencies not checked: {error!s:.150}")
        return 0
    unknown = [name for name in versions if found.get(name) is None]
    faults = [(name, fault) for name, faults in found.items() for fault in faults or []]
    for name, fault in faults:
        fixed = ", ".join(map(str, fault.get("fix_versions") or [])) or "no version yet"
        print(f"{name} {versions.get(name)}: {fault['id']}, mended in {fixed}")
    checked = len(versions) - len(unknown)
    if not checked:
        print("dependencies not checked: the index knows none of them here")
    else:
        rest = f"; not checked: {', '.join(unknown)}" if unknown else ""
        print(f"{checked} dependencies checked, {len(faults)} known vulnerabilities{rest}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
