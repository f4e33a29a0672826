"""Whatever a file holds, reading it ends well or with an MdtreeError; nothing else ever comes out.

More examples: `MDTREE_FUZZ=5000 pytest tests/test_fuzz.py --hypothesis-seed=1`.
"""

from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdtree.exceptions import MdtreeError
from mdtree.recipes import Recipe, bind, fingerprint, read_recipe, words
from mdtree.rows import (
    Damaged,
    GroupFailure,
    Index,
    Measured,
    Missing,
    Provenance,
    Row,
    Store,
    read_rows,
    rows_from_csv,
    scan_rows,
)
from mdtree.rows.row import row_to_json
from tests.support.rows import csv_text

WANTED = int(os.environ.get("MDTREE_FUZZ", "0"))
fuzz = settings(
    deadline=None,
    derandomize=not WANTED,  # the same examples in every run, so that a failure is ours
    max_examples=WANTED or 150,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ROWS = [
    Row(
        format=1,
        group=f"bs_16/wü-{number}",
        protocol="standard-1",
        facts={"width": 8, "learning_rate": 1e-3, "optimizer": "sgd", "augment": True},
        quantities={
            "test_error": Measured(value=12.5, stderr=0.5, members=(12.0, 13.0)),
            "cka": Missing(missing="needs 2 checkpoints, found 1"),
        },
        provenance=Provenance(
            weights={"seed-0.pt": "ab" * 32},
            recipe="cd" * 32,
            metrics=("error_rate",),
            seed=0,
            device="cpu",
            seconds=1.5,
            versions={"torch": "2.6"},
        ),
        failure=GroupFailure(kind="DataError", reason="why") if number else None,
    )
    for number in range(3)
]
LINES = b"".join(row_to_json(row) + b"\n" for row in ROWS)
TABLE = csv_text(ROWS[:1]).encode() + b"width,hessian_e,CKA\n8,4.5,0.25\n4,,nan\n"
RECIPE = b"""\
format: 1
model: {factory: "pkg.mod:make", kwargs: &kwargs {width: $width, rate: 1e-3, list: [1, 2.5, x]}}
data:
  source: tensors
  train: a.npz
  amount: $amount
  label_noise: 0.1
  transform: {mean: [0.5, 0.5], std: [0.1, 1], size: 32}
loss: cross_entropy
batch_size: 64
facts: {epochs: 10, amount: 100}
pattern: bs_{batch_size}/w{width}
groups:
  - {name: a, files: ["a/*.pt"], facts: {width: 8, test_accuracy: 93.5}}
  - name: 'b'
    files: [b.pt, c.pt]
    facts: {<<: {depth: 2}, width: 4}
"""
SCRAPS = [
    *(b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"'", b"{", b"}", b"[", b"]", b"\t"),
    *(b":", b",", b"- ", b"? ", b"&a ", b"*a", b"<<: ", b"!!", b"!!int ", b"!!set ", b"%", b"|\n"),
    *(b"null", b"true", b"~", b"-1", b"0", b"1e999", b"-1e-999", b".nan", b"NaN", b"Infinity"),
    *(b"2024-01-01", b"0x" + b"f" * 400, b"9" * 400, b"1:30:00", b"0b1", b"1_0", b"$width", b"="),
    *(rb"\ud800", rb"\u0000", b'"format":2', b'"format":1', b"format: 2", b"{width}", b"{1}"),
]


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """Cut, double and overwrite pieces of a good file."""
    text = whole
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.integers(0, 1) | st.integers(0, 60))
        other = draw(st.integers(0, len(text)))
        piece = draw(
            st.sampled_from(SCRAPS) | st.binary(max_size=3) | st.just(text[other : other + 40])
        )
        text = text[:at] + piece + text[at + gone :]
    return text


def files(whole: bytes):
    lines = whole.splitlines(keepends=True)
    shuffled = st.lists(st.sampled_from([*lines, *SCRAPS]), max_size=12).map(b"".join)
    return st.one_of(
        damaged(whole), damaged(whole), shuffled, st.binary(), st.text().map(lambda s: s.encode())
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@given(content=files(LINES))
@fuzz
def test_the_readers_of_rows_give_rows_or_an_mdtree_error(path, content):
    path.write_bytes(content)
    with contextlib.suppress(MdtreeError):
        assert all(isinstance(row, Row) for row in read_rows(path))
    with contextlib.suppress(MdtreeError):
        assert all(isinstance(item, Row | Damaged) for item in scan_rows(path))
    with contextlib.suppress(MdtreeError):
        index = Index(path)
        assert all(index.latest(row.key).key == row.key for row in ROWS if index.latest(row.key))


@given(content=files(LINES))
@fuzz
def test_a_store_keeps_every_whole_row_whatever_the_file_holds(path, content):
    path.write_bytes(content)
    try:
        before = {item.key: item for item in scan_rows(path) if isinstance(item, Row)}
        with Store(path) as store:
            store.append(ROWS[0])
    except MdtreeError:
        assert path.read_bytes() == content
        return
    again = {row.key: row for row in read_rows(path)}
    assert again == before | {ROWS[0].key: ROWS[0]}


@given(content=files(TABLE))
@fuzz
def test_the_reader_of_tables_gives_rows_or_an_mdtree_error(path, content):
    path.write_bytes(content)
    with contextlib.suppress(MdtreeError):
        rows = rows_from_csv(path, protocol="paper-1").rows
        assert all(row_to_json(row) for row in rows)
        assert len({row.key for row in rows}) == len(rows)


@given(content=files(RECIPE))
@fuzz
def test_the_reader_of_recipes_gives_a_recipe_or_an_mdtree_error(path, content):
    path.write_bytes(content)
    with contextlib.suppress(MdtreeError):
        use(read_recipe(path))


@given(
    text=st.text(max_size=40) | damaged(b"width=[1, {a: 1e-3}]").map(lambda b: b.decode("latin1"))
)
@fuzz
def test_words_of_the_command_line_give_values_or_an_mdtree_error(text):
    with contextlib.suppress(MdtreeError):
        assert len(words([text])) == 1


def use(recipe: Recipe) -> None:
    """Do with a recipe what measuring does with it."""
    facts = {"width": 8, **recipe.facts}
    assert len(fingerprint(recipe)) == 64
    for part in (recipe.model, recipe.loss, recipe.data):
        with contextlib.suppress(MdtreeError):
            assert len(fingerprint(bind(part, facts))) == 64
    for folder in ("bs_16/w8", "bs_x/w", ""):
        with contextlib.suppress(MdtreeError):
            assert row_to_json(
                Row(
                    format=1,
                    group="g",
                    protocol="p",
                    facts={**facts, **recipe.facts_in(folder)},
                    quantities={},
                )
            )


def test_the_good_files_of_this_test_are_good(path):
    """Otherwise the damaged ones would never get far."""
    path.write_bytes(LINES)
    assert read_rows(path) == ROWS
    path.write_bytes(RECIPE)
    use(read_recipe(path))
    path.write_bytes(TABLE[: TABLE.index(b"width,hessian_e")])
    assert len(rows_from_csv(path, protocol="paper-1").rows) == 1
