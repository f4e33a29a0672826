"""What lies within or above a directory that was read without it."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from mdtree.cli.judged_rows import not_read


def made(*folders, file="mdtree.yaml"):
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / file).write_text("")


def test_folders_with_recipes_or_measurements_are_named(tmp_path):
    made(tmp_path / "a", file="rows.jsonl")
    (tmp_path / "weights").mkdir()
    (hint,) = not_read([tmp_path])
    assert hint.startswith(f"not read: {tmp_path / 'a'} has a recipe or measurements; ")
    made(*(tmp_path / name for name in "bcde"))
    (hint,) = not_read([tmp_path])
    assert ", and 2 more have a recipe or measurements; diagnose such a" in hint


def test_so_is_the_directory_above(tmp_path):
    made(tmp_path / "zoo")
    (tmp_path / "zoo" / "group\x1b[2J").mkdir()
    (hint,) = not_read([tmp_path / "zoo" / "group\x1b[2J"])
    assert f"mdtree diagnose {tmp_path / 'zoo'} --group group\\x1b[2J" in hint
    assert "\x1b" not in hint


def test_so_are_the_measurements_of_directories_that_were_one_group(tmp_path):
    file = tmp_path / "run-0+run-1.rows.jsonl"
    file.write_text("")
    (tmp_path / "other.rows.jsonl").write_text("")
    (hint,) = not_read([tmp_path])
    assert hint.endswith(f"directories within as one group; to use them: mdtree diagnose {file}")


def test_where_nothing_is_there_nothing_is_said(tmp_path):
    (tmp_path / "alone").mkdir()
    assert list(not_read([tmp_path / "alone", tmp_path / "gone", "s3://bucket/runs"])) == []


def test_the_command_names_them(mdtree, tmp_path):

    run = tmp_path / "zoo" / "run"
    run.mkdir(parents=True)
    save_file({"weight": torch.randn(64, 64)}, run / "model.safetensors")
    (tmp_path / "zoo" / "rows.jsonl").write_text("")
    ran = mdtree("diagnose", run)
    assert "not read: the recipe or the measurements of" in ran.err
