#!/bin/sh
# Train the zoos of the reference collection one after the other.
#
#     scripts/train_reference_zoos.sh OUT [WORKERS]              train
#     MEASURE=1 scripts/train_reference_zoos.sh OUT [WORKERS]    and measure each when it is trained
#     ZOOS="mixture parity" scripts/train_reference_zoos.sh OUT  these alone
#
# It can be stopped: the same command goes on. Members that diverged and groups that could not be
# measured stop nothing; they are listed at the end. Packages are read from $MDTREE_REFERENCE_DATA
# (default: data), Animal-MNIST from data; docs/reference_zoos.md says how to fetch them.
# MDTREE says how mdtree is started (default: mdtree).
set -u

if [ $# -lt 1 ]; then
    sed -n '2,12p' "$0" >&2
    exit 2
fi
out=$1 workers=${2:-2} mdtree=${MDTREE:-mdtree}
configs=$(dirname "$0")/../configs/reference
zoos=${ZOOS:-$(cd "$configs" && find . -name '*.yaml' -exec basename {} .yaml ';' | sort)}

incomplete=""
for zoo in $zoos; do
    config=$configs/$zoo.yaml
    [ -f "$config" ] || config=$configs/held_out/$zoo.yaml
    echo "== $zoo: training" >&2
    $mdtree zoo train "$config" --out "$out/$zoo" --workers "$workers"
    status=$?
    [ $status -lt 128 ] || exit $status # interrupted
    [ $status -eq 0 ] || incomplete="$incomplete $zoo(train)"
    [ $status -le 1 ] || continue # 1: some members diverged or failed; above: nothing to measure
    if [ "${MEASURE:-0}" = 1 ]; then
        echo "== $zoo: measuring" >&2
        $mdtree measure "$out/$zoo" --workers "$workers"
        status=$?
        [ $status -lt 128 ] || exit $status
        [ $status -eq 0 ] || incomplete="$incomplete $zoo(measure)"
    fi
done
if [ -n "$incomplete" ]; then
    echo "not all is well:$incomplete" >&2
    exit 1
fi
