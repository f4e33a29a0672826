"""Object storages, by the two that fsspec brings along: files, and memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fsspec
import pytest
import torch
from safetensors.torch import save_file

from mdtree import api
from mdtree.checkpoints import fetched, find_folders, find_stored_folders
from mdtree.exceptions import CheckpointError, MdtreeError, UnreadableError, UnsafeError
from tests.support.zoos import change_recipe, rows_of, write_zoo


@pytest.fixture
def memory():
    """An empty storage in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    return system


def touched(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


HUGGING_FACE = ("config.json", "model.safetensors", "pytorch_model.bin")
SHARDED = (
    "config.json",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
)


@pytest.mark.parametrize(
    "names",
    [
        ["a.pt", "b/1.pt", "b/2.pth", "b/deep/3.ckpt", "b/notes.txt", ".git/4.pt", "b/.5.pt"],
        ["seeds/optimizer.pt", "seeds/last.safetensors", "empty/readme"],
        [f"zoo/one/{name}" for name in HUGGING_FACE] + [f"zoo/two/{name}" for name in SHARDED],
        [f"one/{name}" for name in HUGGING_FACE],
        [*HUGGING_FACE],
        ["sub/b.pt", "sub-1/a.pt", "sub/a/c.pt", "a0/x.pt", "a/x.pt"],
    ],
)
def test_folders_are_those_that_a_directory_has(tmp_path, names):
    root = tmp_path / "root"
    touched(root, *names)
    for index in root.rglob("*.index.json"):
        index.write_text(json.dumps({"weight_map": {"w": SHARDED[2], "v": SHARDED[3]}}))

    there = [(folder.name, folder.files) for folder in find_stored_folders(root.as_uri())]

    here = [
        (folder.name, tuple(file.relative_to(root) for file in folder.files))
        for folder in find_folders(root)
    ]
    assert here == there


def test_one_file_is_a_group(tmp_path):
    touched(tmp_path, "seed.pt", "other.pt")
    (folder,) = find_stored_folders((tmp_path / "seed.pt").as_uri())
    assert (folder.name, folder.files) == ("seed", (Path("seed.pt"),))


def test_stamps_change_with_the_file_and_with_what_belongs_to_it(tmp_path):
    touched(tmp_path, "g/0.pt", *(f"h/{name}" for name in SHARDED))

    def stamps():
        return {
            name: stamp
            for folder in find_stored_folders(tmp_path.as_uri())
            for name, stamp in folder.stamps.items()
        }

    before = stamps()
    assert before == stamps()
    (tmp_path / "h" / SHARDED[3]).write_bytes(b"longer")
    after = stamps()
    assert before["g/0.pt"] == after["g/0.pt"]
    assert before.keys() == after.keys()
    assert before != after


def test_files_are_there_while_they_are_needed_and_gone_afterwards(tmp_path):
    root = tmp_path / "root"
    touched(root, "g/0.pt", "h/1.pt")
    with fetched(root.as_uri(), [Path("g/0.pt"), Path("h/1.pt")]) as files:
        assert [file.read_bytes() for file in files] == [b"x", b"x"]
        assert [file.name for file in files] == ["0.pt", "1.pt"]
        assert root not in [file.parent.parent for file in files]
    assert not any(file.exists() for file in files)


def test_parts_and_config_come_with_their_index(tmp_path):
    touched(tmp_path, *SHARDED)
    index = {"weight_map": {"w": SHARDED[2], "v": SHARDED[3]}}
    (tmp_path / SHARDED[1]).write_text(json.dumps(index))
    with fetched(tmp_path.as_uri(), [Path(SHARDED[1])]) as (file,):
        assert sorted(SHARDED) == sorted(path.name for path in file.parent.iterdir())


@pytest.mark.parametrize("name", ["../up.pt", "g/../../up.pt", "/etc/passwd", "g\\..\\up.pt"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with (
        pytest.raises(UnsafeError, match="leads out of its folder"),
        fetched(tmp_path.as_uri(), [Path(name)]),
    ):
        pass


def test_an_index_that_names_parts_elsewhere_is_refused_by_its_address(tmp_path):
    (tmp_path / SHARDED[1]).write_text(json.dumps({"weight_map": {"w": "../up.safetensors"}}))
    with (
        pytest.raises(UnsafeError, match=tmp_path.as_uri()),
        fetched(tmp_path.as_uri(), [Path(SHARDED[1])]),
    ):
        pass


def test_a_file_that_is_gone_is_told_by_its_address(tmp_path):
    with (
        pytest.raises(UnreadableError, match=rf"{tmp_path.as_uri()}/0.pt cannot be fetched"),
        fetched(tmp_path.as_uri(), [Path("0.pt")]),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///no/such/place", "cannot be listed"),
        ("nowhere://bucket", "not a supported URL: it must begin with one of s3://, s3a://, gs://"),
        ("file://" + "a" * 5000, "cannot be listed"),
        ("file:///a\0b", "cannot be"),
        ("s3://b", "s3fs"),
    ],
)
def test_addresses_that_cannot_be_read_are_told(url, words):
    if url.startswith("s3") and _installed("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(MdtreeError, match=words):
        list(find_stored_folders(url))


@pytest.mark.parametrize("protocol", sorted({*fsspec.available_protocols(), "nowhere", "", "S3"}))
def test_protocols_that_hold_no_files_as_such_are_refused_before_they_do_anything(protocol):
    """Such as `reference`, which reads a description that names files anywhere."""
    allowed = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "file", "memory")
    for url in (f"{protocol}://x", f"{protocol}://x.zip", f"{protocol}://{'x' * 5000}"):
        if protocol not in allowed:
            with pytest.raises(MdtreeError, match="not a supported URL") as error:
                list(find_stored_folders(url))
            assert len(str(error.value)) < 400
        for chained in (f"simplecache::{url}", f"zip://a.pt::{url}", f"{url}::file:///etc"):
            with pytest.raises(MdtreeError, match="not a supported URL"):
                list(find_stored_folders(chained))


@pytest.mark.parametrize("command", ["measure", "diagnose"])
def test_the_command_line_tells_an_address_that_is_not_read(mdtree, zoo, tmp_path, command):
    out = "--out" if command == "measure" else "--rows"
    for url in ("reference://x", "simplecache::file:///x", "http://localhost:1/x"):
        ran = mdtree(command, url, "--recipe", zoo / "mdtree.yaml", out, tmp_path / "r.jsonl")
        assert (ran.code, ran.err.startswith(f"error: {url} is not a supported URL")) == (2, True)


def _installed(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


@pytest.mark.usefixtures("ready_workers")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_zoo_in_a_storage_is_measured_like_one_on_disk(mdtree, zoo, tmp_path, workers):
    recipe = tmp_path / "r.yaml"
    recipe.write_text((zoo / "mdtree.yaml").read_text())
    there, here = tmp_path / "there.jsonl", tmp_path / "here.jsonl"
    args = ["--recipe", recipe, "--metrics", "error_rate", "--out"]

    ran = mdtree("measure", zoo.as_uri(), *args, there, "--workers", workers)

    assert ran.code == 0, ran.err
    assert mdtree("measure", zoo, *args, here).code == 0
    rows, expected = rows_of(there), rows_of(here)
    assert rows.keys() == expected.keys()
    for group, row in expected.items():
        assert row.quantities.keys() == rows[group].quantities.keys()
        for name, value in row.quantities.items():  # workers may have other threads
            assert value.members == pytest.approx(rows[group].quantities[name].members, abs=1e-6)
        assert row.provenance.weights == rows[group].provenance.weights
    again = mdtree("measure", zoo.as_uri(), *args, there, "--workers", workers)
    assert "0 measured, 2 already there" in again.out


def test_what_changes_in_a_storage_is_measured_again_and_nothing_else(mdtree, zoo, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text((zoo / "mdtree.yaml").read_text())
    args = ["measure", zoo.as_uri(), "--recipe", recipe, "--metrics", "error_rate"]
    out = ["--out", tmp_path / "rows.jsonl"]
    assert mdtree(*args, *out).code == 0
    file = zoo / "hot" / "seed-0.safetensors"
    file.write_bytes((zoo / "cold" / "seed-2.safetensors").read_bytes())
    os.utime(file, (1, 1))

    assert "1 measured, 1 already there" in mdtree(*args, *out).out


def test_a_broken_file_of_a_storage_costs_its_group_alone_and_is_named(mdtree, zoo, tmp_path):
    (zoo / "hot" / "seed-0.safetensors").write_bytes(b"no weights")
    ran = mdtree(
        "measure", zoo.as_uri(), "--recipe", zoo / "mdtree.yaml", "--metrics", "error_rate",
        "--out", tmp_path / "rows.jsonl",
    )  # fmt: skip
    assert ran.code == 1
    assert f"{zoo.as_uri()}/hot/seed-0.safetensors" in ran.err
    assert "mdtree-" not in ran.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "pass a recipe with --recipe"),
        (["--recipe", "r.yaml"], "name a file of rows with --out (diagnose: --rows)"),
    ],
)
def test_what_an_address_cannot_say_must_be_said(mdtree, zoo, monkeypatch, args, words):
    monkeypatch.chdir(zoo)
    Path("r.yaml").write_text((zoo / "mdtree.yaml").read_text())
    ran = mdtree("measure", zoo.as_uri(), *args)
    assert (ran.code != 0, words in ran.err) == (True, True)


WRONG = [
    ("github://someone/zoo", "github://someone/zoo is not a supported URL"),
    ("memory://nowhere", "memory://nowhere cannot be listed"),
    ("file:///no/such/place", "file:///no/such/place cannot be listed"),
    pytest.param(
        "s3://b",
        "s3:// needs the package s3fs",
        marks=pytest.mark.skipif(_installed("s3fs"), reason="s3fs is installed"),
    ),
]


@pytest.mark.parametrize(("url", "words"), WRONG)
@pytest.mark.parametrize(
    "args", [[], ["--model", "cnn", "--data", "digits"], ["--recipe", "nowhere.yaml"]]
)
def test_a_wrong_address_is_told_before_more_is_asked_for(mdtree, memory, url, words, args):
    for command in ("measure", "diagnose"):
        ran = mdtree(command, url, *args)
        assert (ran.code, words in ran.err, "name a" in ran.err) == (2, True, False)


@pytest.mark.parametrize(("url", "words"), WRONG)
def test_python_tells_a_wrong_address_first_too(memory, url, words):
    for call in (api.measure, api.diagnose):
        with pytest.raises(MdtreeError, match=words):
            call(url)


def test_an_address_of_one_file_is_right(mdtree, zoo):
    ran = mdtree(
        "measure",
        (zoo / "hot" / "seed-0.safetensors").as_uri(),
        "--model",
        "cnn",
        "--data",
        "digits",
    )
    assert (ran.code, "name a file of rows with --out" in ran.err) == (5, True)


def test_groups_of_a_recipe_belong_to_directories(mdtree, zoo, tmp_path):
    change_recipe(zoo, groups=[{"name": "hot", "files": ["hot"]}])
    ran = mdtree(
        "measure", zoo.as_uri(), "--recipe", zoo / "mdtree.yaml", "--out", tmp_path / "r.jsonl"
    )
    assert (ran.code, "by `pattern`" in ran.err) == (2, True)


def test_a_storage_is_diagnosed_and_dry_runs_fetch_nothing_but_names(mdtree, zoo, tmp_path):
    args = [zoo.as_uri(), "--recipe", zoo / "mdtree.yaml"]
    ran = mdtree(
        "measure", *args, "--metrics", "error_rate", "--out", tmp_path / "r.jsonl", "--dry-run"
    )
    assert ran.code == 0
    assert "to measure: 2 groups" in ran.out


def test_facts_are_read_from_the_names_of_stored_folders(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"bs_32/w2": [0], "bs_64/w2": [1]})
    change_recipe(root, pattern="bs_{batch_size}/w{width}")
    ran = mdtree(
        "measure", root.as_uri(), "--recipe", root / "mdtree.yaml", "--metrics", "error_rate",
        "--out", tmp_path / "r.jsonl",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert [row.facts["batch_size"] for row in rows_of(tmp_path / "r.jsonl").values()] == [32, 64]


def test_memory_is_a_storage_too(memory, tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "0.safetensors")
    memory.pipe("/zoo/g/0.safetensors", (tmp_path / "0.safetensors").read_bytes())
    (folder,) = find_stored_folders("memory://zoo")
    with fetched("memory://zoo", folder.files) as (file,):
        assert file.read_bytes() == (tmp_path / "0.safetensors").read_bytes()
    with pytest.raises(CheckpointError), fetched("memory://zoo", [Path("g/1.pt")]):
        pass
