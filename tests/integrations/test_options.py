"""The options of a callback: mistakes are told when it is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from mdtree.exceptions import MdtreeError, ProtocolError, TreeError
from mdtree.integrations.live import LiveDiagnosis
from mdtree.integrations.options import in_words_of_options
from mdtree.trees.bundled import find_tree


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tree": "nope"}, "tree 'nope' is neither a file nor a tree that comes with mdtree"),
        ({"tree": "general-standard"}, "did you mean 'general-standard-1'"),
        ({"tree": Path("nope.json")}, "tree 'nope.json' is neither a file nor a tree"),
        ({"tree": __file__}, "test_options.py is not a tree"),
        ({"tree": 3}, "tree must be a tree, its file or the name of one, got int"),
        ({"tree": "published-cifar10-resnet18"}, "for protocol paper-1, .* by standard-1: name"),
        ({"loss": "cross_entrpy"}, "did you mean 'cross_entropy'"),
        ({"loss": "losses:mine"}, "got 'losses:mine': give the function itself"),
        ({"loss": ""}, "loss must be a name, a module or a function, got ''"),
        ({"loss": 3}, "loss must be a name or a function, got int"),
        ({"batch": "x"}, "batch must be a function, got str"),
        ({"confidence": 7}, "the confidence must be a probability, 0 to 1; got 7"),
        ({"confidence": float("nan")}, "the confidence must be a probability, 0 to 1; got nan"),
        ({"confidence": "0.5"}, "the confidence must be a probability, 0 to 1; got '0.5'"),
        ({"confidence": True}, "the confidence must be a probability, 0 to 1; got True"),
        ({"seed": 1 << 80}, "the seed is a whole number from 0 to"),
        ({"save": 3}, "save must be the name of a file or folder, got 3"),
        ({"page": ""}, "page must be the name of a file or folder, got ''"),
        ({"save": "rows.jsonl.gz"}, "rows are written plain: name a file that does not end in .gz"),
    ],
)
def test_mistakes_are_told_when_the_callback_is_made(options, reason):
    with pytest.raises(MdtreeError, match=reason):
        LiveDiagnosis(**options)


def test_errors_have_the_usual_classes():
    with pytest.raises(TreeError):
        LiveDiagnosis(tree="nope")
    with pytest.raises(ProtocolError):
        LiveDiagnosis(tree="general-standard-1", protocol="paper-1")


@pytest.mark.parametrize(
    "options",
    [
        {"tree": "published-cifar10-resnet18", "protocol": "paper-1"},
        {"tree": find_tree("general-standard-1"), "confidence": 0},
        {"loss": "mse", "confidence": 1.0},
        {"loss": nn.MSELoss(), "save": Path("rows.jsonl"), "page": "page.html"},
        {"protocol": "paper-1"},
    ],
)
def test_what_can_be_used_is_taken(options):
    callback = LiveDiagnosis(**options)
    for name, value in options.items():
        assert str(getattr(callback, name)) == str(value)


def test_advice_names_the_options_that_a_callback_has():
    text = (
        "name another file with --out or --html, --tree, --protocol; or --allow-protocol-mismatch"
    )
    assert in_words_of_options(text) == (
        "name another file with save= or page=, tree=, protocol=; or --allow-protocol-mismatch"
    )
