"""What is told while rows are measured and judged."""

from __future__ import annotations

import pytest

from mdtree.cli.judged_rows import _chance


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (0.0, "under 1 %"),
        (None, "under 1 %"),
        (0.0004, "under 1 %"),
        (0.126, "13 %"),
        (1.0, "100 %"),
    ],
)
def test_a_chance_is_never_said_to_be_none(change, said):
    assert _chance(change) == said
