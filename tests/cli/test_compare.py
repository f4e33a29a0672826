"""`mdtree compare`: did the change help?"""

from __future__ import annotations

import json

import jsonschema
import pytest

from mdtree.diagnosis import comparison_schema
from mdtree.rows import GroupFailure, Measured, Missing, mean_over_members, write_rows
from tests.support.rows import row

FAILED = GroupFailure(kind="UnreadableError", reason="no weights\nin it")
DIVERGED = GroupFailure(kind="DivergedError", reason="the weights are NaN")


def trained(group, rate, errors, **more):
    """A group of seeds with these test errors."""
    known = {
        "train_error": mean_over_members([error - 1 for error in errors], single_stderr=None),
        "test_error": mean_over_members(errors, single_stderr=None),
        "hessian_top": Measured(value=5.0, stderr=0.5),
    }
    facts = {"learning_rate": rate, "batch_size": 32, "width": 32, "data_amount": 4096}
    return row(group, facts, **{**known, **more})


COLD = trained("cold", 0.0005, [43.0, 44.0, 45.0])
WARM = trained("warm", 0.016, [21.0, 22.0, 23.0])


@pytest.fixture
def file_of(tmp_path):
    def write(name, *rows):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_rows(path, rows)
        return path

    return write


@pytest.fixture
def sides(file_of):
    return file_of("before.jsonl", COLD), file_of("after.jsonl", WARM)


def test_the_change_comes_first_then_verdicts_promise_gain_and_quantities(mdtree, sides):
    ran = mdtree("compare", *sides)
    assert (ran.code, ran.err) == (0, "")
    # notes depend on what the shipped trees know of such a group
    lines = [line for line in ran.out.splitlines() if not line.startswith("note: ")]
    assert lines[:5] == [
        (
            "in short: It helped: 22.0 more right answers in every 100 (between 19.7 and 24.3, "
            "with 95 % confidence)."
        ),
        "before: cold",
        "after:  warm",
        "changed:",
        "  learning_rate 0.0005 -> 0.016",
    ]
    starts = [line.split(":")[0] for line in lines[5:9]]
    assert starts == ["verdict before", "verdict after", "promised", "gained"]
    assert "raise_temperature +" in lines[7]
    assert lines[8].startswith("gained:   +22.00 ± 0.82 points of test accuracy, ")
    assert lines[8].endswith(
        "p < 0.0001 if nothing were gained (Welch's t-test on the checkpoints)"
    )
    table = {line.split()[0]: line for line in lines[9:]}
    assert table["test_error"].endswith(" clear, primary")
    assert "-22.00 ± 0.82   -26.9   Welch" in table["test_error"]
    assert table["hessian_top"].split()[-3:] == ["normal", "1.00", "1.00"]
    assert (
        "\nprimary outcome: test_error stands clear of the noise between seeds (p < 0.0001, below "
        "0.05; tested by itself, whatever else was measured); 1 of 1 other difference stands clear "
        "of the noise between seeds: train_error (adjusted p below 0.05;"
    ) in ran.out
    assert "0 of 1 other difference without values of several checkpoints exceed" in ran.out


def test_directories_and_two_groups_of_one_file_are_compared(mdtree, file_of, sides):
    file_of("one/rows.jsonl", COLD)
    file_of("two/rows.jsonl", WARM)
    both = file_of("both.jsonl", COLD, WARM)
    whole = mdtree("compare", *sides).out
    assert mdtree("compare", both.parent / "one", both.parent / "two").out == whole
    file_of("slow/rows.jsonl", COLD)
    file_of("slow2/rows.jsonl", trained("cold", 0.016, [21.0, 22.0, 23.0]))
    same = both.parent / "slow", both.parent / "slow2"
    assert "before: slow (cold)\nafter:  slow2 (cold)\n" in mdtree("compare", *same).out
    shown = mdtree("compare", *same, "--markdown").out
    assert "### <code>slow → slow2 (cold)</code>" in shown
    named = ["--group-before", "cold", "--group-after", "warm"]
    assert mdtree("compare", both, both, *named).out == whole


def test_json_holds_all_numbers_and_fulfils_its_schema(mdtree, sides):
    content = json.loads(mdtree("compare", *sides, "--json").out)
    jsonschema.validate(content, comparison_schema())
    (found,) = content["comparisons"]
    assert found["changes"][0] == {
        "fact": "learning_rate", "before": 0.0005, "after": 0.016,
        "remedy": "raise_temperature", "follows": None,
    }  # fmt: skip
    assert found["real"]["points"] == pytest.approx(22)
    judged = json.loads(mdtree("diagnose", sides[0], "--json").out)["verdicts"][0]
    assert found["verdict_before"] == judged
    assert found["promise"]["gain"] in judged["gains"]


def test_every_form_begins_with_the_same_sentence(mdtree, sides, tmp_path):
    content = json.loads(mdtree("compare", *sides, "--json").out)
    sentence = content["headline"]
    assert sentence.startswith("It helped: 22.0 more right answers in every 100 (")
    assert content["comparisons"][0]["headline"] == sentence
    assert mdtree("compare", *sides, "--html", tmp_path / "page.html").out.startswith(
        f"in short: {sentence}\n"
    )
    assert f"**{sentence}**" in mdtree("compare", *sides, "--markdown").out
    page = (tmp_path / "page.html").read_text()
    assert page.index(f'<p class="headline">{sentence}</p>') < page.index("<h2")


def test_whether_it_helped_does_not_depend_on_what_else_was_measured(mdtree, file_of):
    """Three seeds: 44.3 to 41.3 has p near 0.022, which an adjustment for ten would hide."""
    errors = [43.6, 44.2, 45.1], [40.2, 41.3, 42.4]
    other = {f"other_{n}": mean_over_members([1.0, 2.0 + n], single_stderr=None) for n in range(9)}
    alike = {"train_error": mean_over_members([8.0, 8.1], single_stderr=None)}
    for more in ({}, other):
        sides = [trained("x", 0.1 + n, errors[n], **alike, **more) for n in range(2)]
        paths = [file_of(f"{n}.jsonl", side) for n, side in enumerate(sides)]
        (found,) = json.loads(mdtree("compare", *paths, "--json").out)["comparisons"]
        first = next(each for each in found["differences"] if each["is_primary"])
        assert (first["quantity"], first["is_clear"]) == ("test_error", True)
        assert first["adjusted"] == first["p"] == pytest.approx(0.0221, abs=0.0002)
        assert found["headline"].startswith("It helped: 3.0 more right answers in every 100 (")


def test_markdown_has_the_same_parts(mdtree, sides):
    ran = mdtree("compare", *sides, "--markdown")
    assert ran.code == 0
    assert "### <code>cold → warm</code>" in ran.out
    assert "- learning_rate 0.0005 → 0.016\n" in ran.out
    assert "\n| <code>test_error \\[%\\]</code> | 44.00 ± 0.58 | 22.00 ± 0.58 | -22.00 " in ran.out
    both = mdtree("compare", *sides, "--markdown", "--json")
    assert (both.code, both.out) == (2, "")
    assert "name one of them" in both.err


def test_a_page_is_written_beside_what_is_printed(mdtree, sides, tmp_path):
    ran = mdtree("compare", *sides, "--html", tmp_path / "page.html")
    assert (ran.code, ran.out) == (0, mdtree("compare", *sides).out)
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "+22.00 ± 0.82 points of test accuracy" in page
    lost = mdtree("compare", *sides, "--html", tmp_path / "absent" / "page.html")
    assert lost.code != 0
    assert "--html" in lost.err


def test_groups_of_the_same_names_are_compared_by_name(mdtree, file_of):
    before = file_of("b.jsonl", trained("x", 0.1, [9.0, 8.0]), trained("y", 0.1, [7.0, 6.0]))
    after = file_of("a.jsonl", trained("y", 0.2, [5.0, 6.0]), trained("x", 0.2, [3.0, 4.0]))
    ran = mdtree("compare", before, after)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "in short: Of 2 changes: 1 helped, 1 cannot be told from chance."
    assert lines[1].split()[:4] == ["groups", "did", "it", "help?"]
    assert "\nbefore: b.jsonl (x)\nafter:  a.jsonl (x)\n" in ran.out
    assert "\nbefore: b.jsonl (y)\nafter:  a.jsonl (y)\n" in ran.out
    four = file_of("4.jsonl", *(trained(f"g{n}", 0.1, [n, n + 1.0]) for n in range(1, 5)))
    more = file_of("5.jsonl", *(trained(f"g{n}", 0.2, [n, n + 2.0]) for n in range(1, 5)))
    ran = mdtree("compare", four, more)
    assert ran.out.endswith("add --group-before NAME --group-after NAME\n")
    assert "before: 4.jsonl (g1)" not in ran.out
    assert "add `--group-before NAME`" in mdtree("compare", four, more, "--markdown").out


def test_a_pair_that_fails_is_named_and_an_unchanged_one_left_out(mdtree, file_of):
    kept, lost = trained("kept", 0.1, [9.0, 8.0]), row("lost", failure=FAILED)
    before = file_of("b.jsonl", COLD, kept, lost)
    after = file_of("a.jsonl", trained("cold", 0.1, [5.0, 6.0]), kept, trained("lost", 1.0, [1.0]))
    ran = mdtree("compare", before, after)
    assert ran.code == 1
    assert "\nbefore: b.jsonl (cold)\n" in ran.out
    assert ran.err == (
        "the same rows before and after, left out: kept\n"
        "failed lost: before: group 'lost' was not measured: no weights\n  in it\n"
    )
    listed = mdtree("compare", before, after, "--markdown").out
    assert "### Not compared\n\n- <code>lost</code>: before: group" in listed


def test_a_diverged_run_has_a_verdict_and_no_differences(mdtree, file_of, sides):
    before = file_of("b.jsonl", row("hot", {"learning_rate": 9.0}, failure=DIVERGED))
    ran = mdtree("compare", before, sides[1])
    assert ran.code == 0
    assert "note: training before diverged, so nothing was measured of it\n" in ran.out
    assert "verdict before: temperature_high (probability 100 %)\n" in ran.out
    assert "gained:   not known: test_error was not measured before\n" in ran.out
    assert "not compared, before: not measured: train_error, test_error, hessian_top" in ran.out


def test_what_has_no_error_or_no_number_is_named_with_its_reason(mdtree, file_of):
    before = file_of("b.jsonl", row(test_error=9.0, cka=Missing(missing="one checkpoint")))
    after = file_of("a.jsonl", row("h", test_error=8.0, cka=0.5))
    ran = mdtree("compare", before, after)
    assert ran.code == 0
    assert "changed: no fact that the rows know\n" in ran.out
    assert "no difference can be tested\n" in ran.out
    assert "  not tested, no standard error before and after: test_error\n" in ran.out
    assert "  not compared, before: one checkpoint: cka\n" in ran.out
    assert (
        "gained:   +1 points of test accuracy; whether that is noise is not known: no st" in ran.out
    )
    assert "promised: nothing to hold the real gain to: no fact that both sides know" in ran.out


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        (([COLD], []), [], "after.jsonl has no measured rows"),
        (([COLD], [COLD]), [], "before and after are the same rows"),
        (([COLD], [WARM]), ["--group-after", "worm"], "did you mean 'warm'?"),
        (([COLD, WARM], [WARM]), [], "--group-before (groups: 'cold', 'warm')"),
        (([row(alpha=2.0)], [row(cka=0.5)]), [], "share no measured quantity"),
        (([row("x", failure=FAILED)], [WARM]), [], "group 'x' was not measured: no weights"),
        (([COLD], [trained("w", 1.0, [1.0, 2.0])]), ["--protocol", "mine"], "'mine' is unknown"),
        (([COLD], [row("w", protocol="paper-1", test_error=1.0)]), [], "are not comparable"),
    ],
)
def test_what_cannot_be_compared_is_one_error(mdtree, file_of, rows, words, said):
    before, after = rows
    paths = file_of("before.jsonl", *before), file_of("after.jsonl", *after)
    ran = mdtree("compare", *paths, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_file_that_is_not_there_is_said_to_be_missing(mdtree, sides):
    ran = mdtree("compare", sides[0], sides[0].with_name("none.jsonl"))
    assert (ran.code, ran.out) == (2, "")
    assert "none.jsonl does not exist" in ran.err


def test_of_two_protocols_in_a_file_one_is_taken(mdtree, file_of):
    def both(name, error):
        return file_of(
            name,
            *(row(protocol=p, test_error=error) for p in ("standard-1", "paper-1")),
        )

    paths = both("b.jsonl", 9.0), both("a.jsonl", 8.0)
    for words, protocol in (([], "standard-1"), (["--protocol", "paper-1"], "paper-1")):
        (found,) = json.loads(mdtree("compare", *paths, *words, "--json").out)["comparisons"]
        assert found["protocol"] == protocol


def test_a_tree_of_another_protocol_is_refused_unless_it_is_allowed(mdtree, sides):
    tree = ["--tree", "published-cifar10-resnet18"]
    refused = mdtree("compare", *sides, *tree)
    assert (refused.code, refused.out) == (2, "")
    allowed = mdtree("compare", *sides, *tree, "--allow-protocol-mismatch")
    assert allowed.code == 0
    assert "note: before: the tree was fitted to protocol paper-1" in allowed.out
