"""Measure the baselines of the reference zoos again, in the rows that come with mdtree.

    MDTREE_REFERENCE_DATA=FOLDER python scripts/measure_baselines.py ROWS [ZOO ...]

Baselines need the data of a zoo, and none of its networks.  Rows are read from ROWS and, with the
new values, written to mdtree/data/reference; a zoo that is whole there is skipped.  Zoos whose data
are not at hand are named.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from dataclasses import replace
from pathlib import Path

import torch

from mdtree.datasets import shared_data
from mdtree.exceptions import MdtreeError
from mdtree.metrics.baseline import BASELINE, baseline_of
from mdtree.recipes import Trust, Zoo, bind, read_zoo
from mdtree.rows import Row, read_rows
from mdtree.rows.row import row_to_json

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs" / "reference"
DATA = ROOT / "mdtree" / "data" / "reference"


def is_whole(path: Path) -> bool:
    """Say whether all rows of a file have baselines."""
    names = set(BASELINE.quantities)
    return path.exists() and all(names <= row.quantities.keys() for row in read_rows(path))


def with_baselines(zoo: Zoo, config: Path, rows: list[Row]) -> list[Row]:
    """Add the baselines to the rows of a zoo."""
    done = []
    for row in rows:
        spec = bind(zoo.data, row.facts)
        data = shared_data(spec, config.parent, trust=Trust(any_factory=True))
        values = baseline_of(data, seed=0).values
        done.append(replace(row, quantities={**row.quantities, **values}))
    return done


def main() -> int:
    """Measure what is missing; 1 if something could not be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path)
    parser.add_argument("zoos", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = []
    for config in sorted(CONFIGS.rglob("*.yaml")):
        place = config.parent.relative_to(CONFIGS) / f"{config.stem}.jsonl.gz"
        source, target = arguments.rows / place, DATA / place
        if (arguments.zoos and config.stem not in arguments.zoos) or not source.exists():
            continue
        if is_whole(target):
            continue
        try:
            rows = with_baselines(read_zoo(config), config, read_rows(source))
        except MdtreeError as error:
            failed.append(f"{config.stem}: {error}")
            continue
        content = b"".join(row_to_json(row) + b"\n" for row in rows)
        target.write_bytes(gzip.compress(content, mtime=0))
        print(config.stem, len(rows), flush=True)
    print("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
