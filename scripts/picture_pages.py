"""Take pictures of the first screens of the demo's five pages, for the documentation.

    python scripts/picture_pages.py                       (about a minute for each fault)
    python scripts/picture_pages.py --demos mdtree-demo   (uses the demos that are there already)

Needs Chromium. Pictures go to docs/pages/FAULT.png: 1,200 pixels wide, in 256 colours.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from mdtree.failure_modes import FAILURE_MODES

DOCS = Path(__file__).resolve().parents[1] / "docs" / "pages"
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1200, 860  # pixels
LARGEST = 150_000  # bytes of a picture
COLOURS = 256
PATIENCE = 120  # seconds, after which a browser hangs


def main() -> None:
    """Make the demos that are missing, and take a picture of each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demos", type=Path, help="folder of demos; missing ones are made there")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        sys.exit("Chromium was not found: install it (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        demos = options.demos or Path(folder)
        for fault in FAILURE_MODES:
            command = [sys.executable, "-m", "mdtree", "demo", "--fault", fault, "--out", demos]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            take(browser, demos / fault / "report.html", options.out / f"{fault}.png")


def take(browser: str, page: Path, picture: Path) -> None:
    """Take a picture of the first screen of a page."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # a container has none; the page is ours and runs no script
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={picture.resolve()}",
            page.resolve().as_uri(),
        ]
        subprocess.run(command, check=True, timeout=PATIENCE, stderr=subprocess.DEVNULL)
    with Image.open(picture) as taken:
        few = taken.convert("RGB").quantize(
            COLOURS,
            method=Image.Quantize.MAXCOVERAGE,  # the others drop colours of small areas
            dither=Image.Dither.NONE,
        )
    few.save(picture, optimize=True)
    size = picture.stat().st_size
    if size > LARGEST:
        sys.exit(f"{picture} has {size:,} bytes, more than {LARGEST:,}")
    print(f"{picture}: {size:,} bytes")


if __name__ == "__main__":
    main()
