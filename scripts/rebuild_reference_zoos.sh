#!/usr/bin/env bash
# Train, measure and label the two reference zoos, and fit the trees that come with mdtree on them.
# A run that was stopped goes on where it was.
#   scripts/rebuild_reference_zoos.sh [FOLDER [WORKERS]]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-zoos}
workers=${2:-$(nproc)}

quarter() {  # of the groups of a zoo, drawn once and for all
    python -c "
import pathlib, random, sys
groups = sorted(path.name for path in pathlib.Path(sys.argv[1]).iterdir() if path.is_dir())
print(*(f'--group={name}' for name in random.Random(0).sample(groups, len(groups) // 4)))" "$1"
}

ls data/animal_mnist-0.4-*.whl >/dev/null 2>&1 || pip download --no-deps animal-mnist==0.4 -d data
for zoo in digits animals; do
    mdtree zoo train "configs/zoo-$zoo.yaml" --out "$out/$zoo" --workers "$workers"
    mdtree measure "$out/$zoo" --workers "$workers"
    # shellcheck disable=SC2046
    mdtree measure "$out/$zoo" --workers "$workers" --protocol paper-1 $(quarter "$out/$zoo")
    mdtree zoo label "$out/$zoo" --protocol standard-1 --svg "docs/zoo-$zoo.svg"
done
python scripts/ship_trees.py "$out"
