"""The files of a checkpoint: parts and their digest, and links that lead out of the directory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import (
    check_within,
    file_digest,
    list_tensors,
    load_checkpoint,
    load_weights,
    parts_of,
)
from mdtree.exceptions import UnreadableError, UnsafeError

WEIGHTS = nn.Linear(3, 2).state_dict()


def sharded(folder: Path, weight_map: object) -> Path:
    save_file({"weight": WEIGHTS["weight"]}, folder / "a.safetensors")
    torch.save({"bias": WEIGHTS["bias"]}, folder / "b.bin")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


def test_parts_of_either_kind_make_one_checkpoint(tmp_path):
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "b.bin"})
    assert [path, tmp_path / "a.safetensors", tmp_path / "b.bin"] == parts_of(path)
    weights = load_checkpoint(path, nn.Linear(3, 2), name="x").weights
    assert all(torch.equal(WEIGHTS[key], weights[key]) for key in WEIGHTS)


@pytest.mark.parametrize(
    "part",
    [
        *("../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..\\x.safetensors"),
        *("..", ".", "", "a\0.bin", "model.safetensors.index.json", "x.pt"),
    ],
)
def test_an_index_cannot_lead_out_of_its_folder(tmp_path, part):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for outside in (tmp_path, folder / "sub"):
        save_file(WEIGHTS, outside / "x.safetensors")
    path = sharded(folder, {"weight": "a.safetensors", "bias": part})
    for use in (load_weights, file_digest, parts_of):
        with pytest.raises(UnsafeError, match="not weights files in its own folder: "):
            use(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"weight_map": 3}',
        '{"weight_map": {"a": 3}}',
        "\udcff",
        "[" * 9999,
        '{"weight_map": {"a": "\\ud800.bin"}}',
        '{"weight_map": {"a": "b.bin"}, "b": ' + "9" * 9999,
    ],
)
def test_a_broken_index_is_told(tmp_path, content):
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnreadableError, match="is not an index of weights files"):
        load_weights(path)


def test_a_missing_or_broken_part_is_told_by_its_name(tmp_path):
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "c.bin"})
    for use in (load_weights, file_digest, lambda p: load_checkpoint(p, nn.Linear(3, 2), name="x")):
        with pytest.raises(UnreadableError, match=r"c\.bin cannot be read: No such file"):
            use(path)
    (tmp_path / "c.bin").write_text("no weights")
    with pytest.raises(UnreadableError, match=r"c\.bin is a text file"):
        load_weights(path)
    torch.save([1.0], tmp_path / "c.bin")
    with pytest.raises(UnreadableError, match=r"c\.bin does not contain named weights"):
        load_weights(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_each_tensor_lies_in_one_part(tmp_path, suffix):
    """The index says in which; what it does not name is taken, as transformers does."""
    weight, bias, more = WEIGHTS["weight"], WEIGHTS["bias"], torch.ones(1)
    ways = [
        ({"a": {"weight": weight}, "b": {"bias": bias}}, None),
        ({"a": {"weight": weight}, "b": {"bias": bias, "more": more}}, None),
        ({"a": {"weight": weight}, "b": {"bias": bias, "weight": weight}}, "b.* contains weight"),
        ({"a": {"weight": weight, "bias": bias}, "b": {"bias": bias}}, "a.* contains bias"),
        ({"a": {"bias": bias}, "b": {"weight": weight}}, "a.* lacks weight"),
        ({"a": {"weight": weight}, "b": {"more": more}}, "b.* lacks bias"),
        ({p: {n: bias, "more": more} for p, n in {"a": "weight", "b": "bias"}.items()}, "more"),
    ]
    path = tmp_path / f"model.{suffix}.index.json"
    places = {"weight": f"a.{suffix}", "bias": f"b.{suffix}"}
    path.write_text(json.dumps({"weight_map": places}))
    for parts, words in ways:
        for part, content in parts.items():
            (save_file if suffix == "safetensors" else torch.save)(
                content, tmp_path / f"{part}.{suffix}"
            )
        for read in (load_weights, list_tensors):
            if words is not None:
                with pytest.raises(UnreadableError, match=words):
                    read(path)
        if words is None:
            names = {name for content in parts.values() for name in content}
            assert names == load_weights(path).tensors.keys()
            assert names == {stored.name for stored in list_tensors(path).tensors}


def test_the_digest_is_that_of_sha256sum_and_changes_with_every_part(tmp_path):
    whole = tmp_path / "x.pt"
    torch.save(WEIGHTS, whole)
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    assert expected == file_digest(whole)
    assert expected == load_checkpoint(whole, nn.Linear(3, 2), name="x").sha256
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "b.bin"})
    digests = {file_digest(path)}
    for part in ("a.safetensors", "b.bin", path.name):
        with (tmp_path / part).open("ab") as file:
            file.write(b" ")
        digests.add(file_digest(path))
    assert len(digests) == 4


# links


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "group").mkdir(parents=True)
    save_file(WEIGHTS, tmp_path / "own.safetensors")
    save_file(WEIGHTS, tmp_path / "root" / "x.safetensors")
    return tmp_path / "root"


@pytest.mark.parametrize("target", ["../../own.safetensors", "{tmp}/own.safetensors"])
def test_a_link_out_of_the_directory_is_refused_by_its_name(root, target):
    link = root / "group" / "0.pt"
    link.symlink_to(target.format(tmp=root.parent))
    words = rf"0\.pt links to {root.parent}/own\.safetensors, outside {root}: copy .*--recipe"
    with pytest.raises(UnsafeError, match=words):
        load_checkpoint(link, nn.Linear(3, 2), name="x", within=root)
    assert load_checkpoint(link, nn.Linear(3, 2), name="x").name == "x"  # the user's own word


def test_a_link_of_a_link_and_a_folder_that_is_one_are_followed_to_their_end(root):
    (root / "group" / "0.pt").symlink_to(root / "1.pt")
    (root / "1.pt").symlink_to(root.parent / "own.safetensors")
    (root / "out").symlink_to(root.parent, target_is_directory=True)
    for path in (root / "group" / "0.pt", root / "out" / "own.safetensors"):
        with pytest.raises(UnsafeError, match=", outside "):
            check_within(path, root)


def test_a_path_that_leaves_without_a_link_is_refused(root):
    for path in (root / ".." / "own.safetensors", root.parent / "own.safetensors"):
        with pytest.raises(UnsafeError, match=", outside "):
            check_within(path, root)
    (root.parent / "root-2").mkdir()
    save_file(WEIGHTS, root.parent / "root-2" / "x.safetensors")
    with pytest.raises(UnsafeError, match=", outside "):
        check_within(root.parent / "root-2" / "x.safetensors", root)


def test_links_inside_of_the_directory_are_followed_also_where_it_is_one_itself(root):
    (root / "group" / "0.pt").symlink_to("../x.safetensors")
    (root.parent / "link").symlink_to(root, target_is_directory=True)
    for place in (root, root.parent / "link", root / "group" / ".."):
        check_within(place / "group" / "0.pt", root)
        check_within(root / "group" / "0.pt", place)


def test_a_part_of_a_checkpoint_that_leads_out_is_refused(root):
    index = root / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "a.safetensors"}}))
    (root / "a.safetensors").symlink_to("../own.safetensors")
    with pytest.raises(UnsafeError, match=r"a\.safetensors links to"):
        check_within(index, root)


def test_the_cache_of_hugging_face_is_at_home_in_its_blobs(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file(WEIGHTS, blobs / "abc")
    save_file(WEIGHTS, tmp_path / "own.safetensors")
    (snapshot / "model.safetensors").symlink_to("../../blobs/abc")
    (snapshot / "other.safetensors").symlink_to("../../../own.safetensors")
    for root in (snapshot, snapshot.parent, snapshot.parent.parent):
        check_within(snapshot / "model.safetensors", root)
        with pytest.raises(UnsafeError, match=", outside "):
            check_within(snapshot / "other.safetensors", root)
    (snapshot / "sub").mkdir()
    with pytest.raises(UnsafeError, match=", outside "):  # blobs beside what is no snapshot
        check_within(snapshot / "model.safetensors", snapshot / "sub")


def test_links_to_nothing_and_in_a_ring_cannot_be_read(root):
    (root / "gone.pt").symlink_to("nothing.pt")
    (root / "ring.pt").symlink_to("ring.pt")
    for name in ("gone.pt", "ring.pt", "absent.pt"):
        with pytest.raises(UnreadableError, match=f"{name} cannot be read"):
            check_within(root / name, root)
