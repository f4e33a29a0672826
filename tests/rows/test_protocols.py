"""Names of protocols."""

from __future__ import annotations

import pytest

from mdtree.exceptions import MdtreeError
from mdtree.rows import check_protocol


def test_names_of_protocols_are_checked():
    assert check_protocol("paper-1") == "paper-1"
    with pytest.raises(MdtreeError, match=r"did you mean 'paper-1'.*known: .*standard-1"):
        check_protocol("paper1")
