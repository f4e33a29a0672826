"""Fetch axe-core, with which tests/render/test_accessibility.py checks the page.

    python scripts/fetch_axe.py          (needs npm; about 600 kB)

axe-core (MPL-2.0) is a tool of the tests: it lies in .axe/, which git ignores, and no package of
mdtree contains it.  The version is locked, and so is what the registry may send for it.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
FOLDER = Path(__file__).resolve().parents[1] / ".axe"
MEMBERS = {"package/axe.min.js": f"axe-{VERSION}.min.js", "package/LICENSE": "LICENSE"}


def main() -> None:
    """Fetch the locked version, unless it is there."""
    if all((FOLDER / name).exists() for name in MEMBERS.values()):
        print(f"axe-core {VERSION} is in {FOLDER}")
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm was not found: install it (apt-get install npm), or leave the check out")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([npm, "pack", "--silent", f"axe-core@{VERSION}"], cwd=folder, check=True)
        package = next(Path(folder).glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        if digest != SHA512:
            sys.exit(f"axe-core {VERSION} has another content than before: sha512-{digest}")
        FOLDER.mkdir(exist_ok=True)
        with tarfile.open(package) as tar:
            for member, name in MEMBERS.items():
                content = tar.extractfile(member)
                assert content is not None
                (FOLDER / name).write_bytes(content.read())
    print(f"axe-core {VERSION} is in {FOLDER}")


if __name__ == "__main__":
    main()
