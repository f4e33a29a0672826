"""`mdtree.confirm`, the command in Python."""

from __future__ import annotations

import json

import pytest

import mdtree as package
from mdtree.confirmation import confirmation_to_plain_data
from mdtree.exceptions import MdtreeError
from tests.support.confirming import COLD, WARM, advising, trained_and_measured


def test_it_returns_what_the_command_prints(mdtree, tmp_path):
    folder = trained_and_measured(tmp_path / "zoo")
    tree = advising(factor=8.0)
    found = package.confirm(folder, groups=COLD, tree=tree, workers=1)
    ((each,), (change,)) = found, found.changes
    assert (each.before, each.after) == (COLD, WARM)
    assert (change.trained, change.already) == (0, 2)  # it is in the zoo
    assert found[:1].changes == found.changes
    assert (found.failures, found.skipped, found.left) == ({}, {}, {})
    assert WARM in found.to_markdown()
    content = json.loads(json.dumps(confirmation_to_plain_data(found.found)))
    assert content["comparisons"][0]["real"]["points"] == each.real.points
    late = package.confirm(folder, groups=[COLD], tree=advising(factor=80.0), minutes=1e-9)
    assert len(late) == 0
    assert [*late.left] == [COLD]
    for wrong in ({"seeds": 0}, {"minutes": 0}, {"remedy": "pray"}, {"metrics": "error"}):
        with pytest.raises(MdtreeError):
            package.confirm(folder, groups=COLD, tree=tree, **wrong)
