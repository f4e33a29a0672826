"""Rows of measurements as tables, for people."""

from __future__ import annotations

import re
from dataclasses import replace

from mdtree.render.rows_table import rows_html, rows_table
from mdtree.rows import QUANTITIES, GroupFailure, Measured, Missing, Provenance, Row


def row(group="g", quantities=None, **kwargs):
    values = {"train_error": Measured(value=12.5, stderr=0.25)}
    content = {"protocol": "standard-1", "facts": {}, **kwargs}
    return Row(format=1, group=group, quantities=quantities or values, **content)


def provenance(members):
    return Provenance(
        weights=dict.fromkeys(members, "0"),
        recipe="0",
        metrics=(),
        seed=0,
        device="cpu",
        seconds=0,
        versions={},
    )


def test_the_summary_has_a_line_for_each_group_and_a_column_for_each_quantity():
    quantities = {"test_loss": Measured(value=1.5), "train_error": Measured(value=2, stderr=0.5)}
    rows = [
        row("a", facts={"parameters": 11420}, provenance=provenance("xyz")),
        row("b", quantities),
    ]

    header, _, first, second = rows_table(rows).splitlines()

    assert re.split(" {2,}", header) == [
        "group",
        "checkpoints",
        "parameters",
        "train_error [%]",
        "test_loss [nats]",
    ]
    assert first.split("  ")[0] == "a"
    assert re.split(" {2,}", first) == ["a", "3", "11420", "12.50 ± 0.25"]
    assert re.split(" {2,}", second) == ["b", "2.00 ± 0.50", "1.5"]
    assert header.index("train_error") < header.index("test_loss")  # the order of the vocabulary
    assert next(iter(QUANTITIES)) == "train_error"


def test_the_protocol_is_shown_where_there_are_several():
    assert "protocol" not in rows_table([row("a"), row("b")])
    several = rows_table([row("a"), row("a", protocol="paper-1")])
    assert several.splitlines()[0].split()[:2] == ["group", "protocol"]
    assert "paper-1" in several


def test_a_reason_is_told_once_with_the_number_of_its_groups():
    why = {"test_error": Missing(missing="the recipe has no test data\x1b[31m")}
    text = rows_table([row("a", why), row("b", why), row("c")])

    assert text.splitlines()[-1] == (
        "missing test_error: the recipe has no test data\\x1b[31m (2 of 3)"
    )
    assert text.count("missing") == 3  # two cells and the reason


def test_a_failed_group_is_marked_as_such():
    failed = row(
        "a",
        {"train_error": Missing(missing="the group failed: x")},
        failure=GroupFailure(kind="E", reason="x"),
    )
    assert "failed" in rows_table([failed]).splitlines()[2]
    assert len(rows_table([failed]).splitlines()) == 3  # why is told elsewhere


def test_a_long_table_is_cut_and_says_so():
    rows = [row(f"g{n}") for n in range(45)]
    assert rows_table(rows).splitlines()[-1] == "... and 5 more"
    assert len(rows_table(rows, limit=None).splitlines()) == 47
    assert rows_table([]).splitlines()[0].startswith("group")


def test_what_did_not_converge_comes_with_what_that_means_and_what_to_do():
    rough = {"hessian_trace": Measured(value=10.0, stderr=4.0, converged=False)}
    near = {"hessian_trace": Measured(value=10.0, stderr=0.6, converged=False)}
    rows = [*(row(f"g{n}", rough) for n in range(7)), row("near", near), row("other")]
    line, means, mend = rows_table(rows).splitlines()[-3:]
    assert line == "not converged hessian_trace (7 of 9): g0, g1, g2, g3, g4, and 2 more"
    assert "Verdicts take the error into account" in means
    assert "to get it converged: --hessian-limit 4, or hessian_limit: 4 in the recipe" in mend
    assert "converged" not in rows_table(rows[7:])


def test_a_number_that_is_as_precise_as_the_verdict_needs_has_a_mark():
    trace = {"hessian_trace": Measured(value=10.0, stderr=4.0, converged=False)}
    stopped = replace(provenance("x"), reach={"hessian_trace": (8.0, 12.0)})
    rows = [
        row("coarse", trace, provenance=stopped),
        row("whole", {"hessian_trace": Measured(value=7.0)}),
    ]
    text = rows_table(rows)
    assert "10.0 ± 4.0 ~" in text
    assert "7 ~" not in text
    assert text.splitlines()[-1] == (
        "~ as precise as the verdict needs, not to the tolerance; mdtree measure goes on from there"
    )
    assert "10.0 ± 4.0 ~" in rows_html(rows)
    assert "~ as precise as" in rows_html(rows)
    for other in (rows_table(rows[1:]), rows_html(rows[1:])):
        assert "~" not in other
