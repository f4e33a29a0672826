"""Links that lead out of the directory that is measured."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import load_checkpoint
from mdtree.checkpoints.links import check_within
from mdtree.exceptions import UnreadableError, UnsafeError

WEIGHTS = nn.Linear(3, 2).state_dict()


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
