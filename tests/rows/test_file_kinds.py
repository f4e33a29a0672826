"""What a file holds is read from how it begins, and an output replaces only its own kind."""

from __future__ import annotations

import pytest

from mdtree.exceptions import OutputError
from mdtree.rows import file_kinds as kinds
from mdtree.rows import write_rows
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import is_recognised, kind_of
from mdtree.trees import write_tree
from tests.support.rows import row
from tests.support.trees import leaf, small_tree

CONTENTS = {
    kinds.PAGE: b"\xef\xbb\xbf\n<!-- mine -->\n<!DOCTYPE html><html><svg></svg></html>",
    kinds.SVG: b'<?xml version="1.0"?>\n<!-- Inkscape -->\n<svg xmlns="...">',
    kinds.PNG: b"\x89PNG\r\n\x1a\n",
    kinds.SARIF: b'{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": []}',
    kinds.JUNIT: b'<?xml version="1.0"?><testsuites></testsuites>',
    kinds.PARQUET: b"PAR1...",
    kinds.JSON: b'{"name": "package"}',
    kinds.RECIPE: b"model: {factory: mlp}\n",
}


def written(folder, kind):
    path = folder / ("zoo.yaml" if kind == kinds.RECIPE else "file.out")
    path.write_bytes(CONTENTS[kind])
    return path


@pytest.mark.parametrize("kind", [*CONTENTS])
def test_each_kind_is_recognised(tmp_path, kind):
    assert kind_of(written(tmp_path, kind)) == kind


def test_our_own_rows_and_trees_are_recognised(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [row("a", {}, test_error=1.0)])
    write_tree(tmp_path / "tree.json", small_tree(leaf("temperature_low", temperature_low=1.0)))
    assert kind_of(tmp_path / "rows.jsonl") == kinds.MEASUREMENTS
    assert kind_of(tmp_path / "tree.json") == kinds.TREE


def test_what_is_empty_not_there_or_plain_text_has_no_kind(tmp_path):
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "notes.txt").write_text("model: a note")
    (tmp_path / "data.xml").write_text("<data/>")
    for name in ("empty.yaml", "notes.txt", "data.xml", "none"):
        assert kind_of(tmp_path / name) is None


@pytest.mark.parametrize("kind", [*CONTENTS])
@pytest.mark.parametrize("output", [kinds.PAGE, kinds.SVG, kinds.TABLE, kinds.MEASUREMENTS, None])
def test_another_kind_is_not_replaced_and_the_own_one_is(tmp_path, kind, output):
    path = written(tmp_path, kind)
    if kind == output:
        with atomic_file(path, replaces=output) as file:
            file.write(b"new")
        assert path.read_bytes() == b"new"
        return
    with (
        pytest.raises(OutputError, match=r"contains .* and was not replaced: name another file"),
        atomic_file(path, replaces=output) as file,
    ):
        file.write(b"new")
    assert path.read_bytes() == CONTENTS[kind]


def test_a_text_of_no_kind_is_replaced_only_by_what_can_begin_like_it(tmp_path):
    path = tmp_path / "table"
    for kind in (kinds.TABLE, kinds.MEASUREMENTS):
        path.write_text("group,width\n")
        with atomic_file(path, replaces=kind) as file:
            file.write(b"new\n")
    for kind in (kinds.PAGE, kinds.TREE):
        assert is_recognised(kind)
        with (
            pytest.raises(OutputError, match=r"does not contain a .*: remove it, or name another"),
            atomic_file(path, replaces=kind) as file,
        ):
            file.write(b"new")
    assert path.read_text() == "new\n"
