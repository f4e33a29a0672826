"""Pack the measured rows of the reference zoos, as they come with mdtree.

    python scripts/ship_reference_rows.py ZOOS

ZOOS is the folder that `scripts/train_reference_zoos.sh` fills.  Pictures (`details`) and hashes of
files are left out: they are most of a row, and nothing is learnt from them.  Zoos that are not
measured whole are named and skipped.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from dataclasses import replace
from pathlib import Path

from mdtree.exceptions import MdtreeError
from mdtree.rows import Row, read_rows
from mdtree.rows.row import row_to_json

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs" / "reference"
DATA = ROOT / "mdtree" / "data" / "reference"


def packed(row: Row) -> bytes:
    """Write what is learnt from."""
    return row_to_json(replace(row, details=None, provenance=None)) + b"\n"


def main() -> int:
    """Pack what is whole; 1 if something is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("zoos", type=Path)
    zoos = parser.parse_args().zoos
    missing = []
    for config in sorted(CONFIGS.rglob("*.yaml")):
        try:
            rows = read_rows(zoos / config.stem / "rows.jsonl")
        except MdtreeError:
            rows = []
        # where all members diverged there is a folder, and nothing to measure
        groups = {path.parent for path in (zoos / config.stem).glob("*/*.safetensors")}
        measured = [row for row in rows if row.failure is None]
        if not rows or len(rows) < len(groups):
            missing.append(f"{config.stem} ({len(rows)} of {len(groups)} groups)")
            continue
        target = DATA / config.parent.relative_to(CONFIGS) / f"{config.stem}.jsonl.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = b"".join(map(packed, measured))
        target.write_bytes(gzip.compress(content, mtime=0))  # the same file, whenever it is made
        print(f"{config.stem}: {len(measured)} rows, {target.stat().st_size / 1e3:.0f} kB")
    print(f"not whole: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
