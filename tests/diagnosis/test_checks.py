"""The table of checks: codes that pipelines rely on, and its page."""

from __future__ import annotations

import re

from mdtree.diagnosis import CHECKS, MODE_CODES, UNSURE
from mdtree.diagnosis.row_checks import LOOKS_AT_ROW
from mdtree.diagnosis.verdict_checks import LOOKS_AT_VERDICT
from mdtree.failure_modes import FAILURE_MODES
from tests.support.paths import ROOT

# codes keep their names for ever: to drop a check, drop its line here and never use the code again
STABLE = {
    "MD101": "temperature_low", "MD102": "temperature_high", "MD103": "model_small",
    "MD104": "data_small", "MD110": "unsure", "MD111": "diverged", "MD112": "partly_diverged",
    "MD120": "target_missed",
    "MD201": "out_of_distribution", "MD202": "unstable", "MD203": "other_protocol",
    "MD204": "tree_disagrees", "MD205": "close_step", "MD300": "not_measured",
    "MD301": "not_converged", "MD302": "one_checkpoint", "MD303": "open_question",
    "MD304": "attempt_failed", "MD305": "facts_unknown", "MD306": "from_files",
    "MD307": "quantity_missing", "MD401": "copies", "MD402": "choices", "MD403": "snapshots",
    "MD404": "accuracy_differs",
    "MD405": "worse_than_chance",
    "MD406": "worse_than_baseline",
    "MD407": "ended_early",
}  # fmt: skip


def test_codes_keep_their_meaning():
    assert {code: check.name for code, check in CHECKS.items()} == STABLE
    assert [*CHECKS] == sorted(CHECKS)
    assert len(set(STABLE.values())) == len(STABLE)


def test_every_check_says_what_it_means_in_one_line():
    for check in CHECKS.values():
        assert check.severity in ("error", "warning", "note")
        for text in (check.meaning, check.fine):
            assert text
            assert text.isprintable()
            assert not text.endswith(".")


def test_every_check_is_decided_once():
    assert not LOOKS_AT_ROW.keys() & LOOKS_AT_VERDICT.keys()
    assert LOOKS_AT_ROW.keys() | LOOKS_AT_VERDICT.keys() == CHECKS.keys()


def test_every_verdict_but_none_has_a_code():
    assert MODE_CODES.keys() == {*FAILURE_MODES, UNSURE} - {"none"}
    assert all(CHECKS[code].name == mode for mode, code in MODE_CODES.items())


def test_the_page_lists_the_table():
    page = (ROOT / "docs" / "reference" / "checks.md").read_text()
    listed = re.findall(r"^\| (MD\d+) \| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert listed == [
        (check.code, check.name, check.severity, check.meaning, check.fine)
        for check in CHECKS.values()
    ]
