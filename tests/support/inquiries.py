"""Sequential diagnoses of tiny zoos, by trees made by hand."""

from __future__ import annotations

from mdtree.diagnosis import Diagnoser
from mdtree.measurement import Request
from mdtree.recipes import Trust, read_recipe
from mdtree.sequential_diagnosis import SequentialDiagnosis
from tests.support.trees import small_tree


def inquiry_of(folder, tree, features, **changes):
    request = Request(
        root=folder,
        recipe=read_recipe(folder / "mdtree.yaml"),
        folder=folder,
        trust=Trust(),
        protocol="standard-1",
        metrics=(),
        seed=0,
        device="cpu",
        allow_download=False,
    )
    return SequentialDiagnosis(
        request=request,
        out=folder / "rows.jsonl",
        choose_diagnoser=lambda _: Diagnoser(small_tree(tree, features), name="t"),
        **changes,
    )
