"""Repositories of the Hugging Face Hub (hf://), by a storage with the interface of its library."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from mdtree.checkpoints import fetched, find_stored_folders
from mdtree.checkpoints.remote import check_place
from mdtree.exceptions import MdtreeError, UnreadableError
from mdtree.runtime.offline import offline
from tests.support.zoos import rows_of

REGISTRY = sys.modules["fsspec.registry"]._registry  # the package has another thing of this name


class Hub(AbstractFileSystem):
    """Folders of this disk, listed as the Hub lists repositories: with blobs and without dates."""

    protocol = "hf"
    cachable = False
    root: Path
    broken = False

    def info(self, path, **_):
        if self.broken:
            raise ConnectionError("the Hub does not answer")
        file = self.root / self._strip_protocol(path)
        if not file.exists():
            raise FileNotFoundError(path)
        if file.is_dir():
            return {"name": path, "size": 0, "type": "directory", "tree_id": "t"}
        content = file.read_bytes()
        blob = hashlib.sha1(content).hexdigest()
        lfs = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return {
            "name": path, "size": len(content), "type": "file", "blob_id": blob, "lfs": lfs,
            "last_commit": None, "security": None,
        }  # fmt: skip

    def ls(self, path, *, detail=True, **_):
        self.info(path)
        names = sorted(f"{path}/{file.name}" for file in (self.root / path).iterdir())
        return [self.info(name) for name in names] if detail else names

    def get_file(self, rpath, lpath, **_):
        self.info(rpath)
        shutil.copy(self.root / self._strip_protocol(rpath), lpath)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with the repositories that a test puts into its root."""
    monkeypatch.setattr(Hub, "root", tmp_path / "hub", raising=False)
    monkeypatch.setattr(Hub, "broken", False)
    monkeypatch.setitem(REGISTRY, "hf", Hub)
    return tmp_path / "hub"


def test_a_repository_with_groups_is_measured_once(mdtree, zoo, hub, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text((zoo / "mdtree.yaml").read_text())
    shutil.copytree(zoo, hub / "someone" / "zoo")
    args = ["measure", "hf://someone/zoo", "--recipe", recipe, "--metrics", "error_rate"]
    args += ["--out", tmp_path / "rows.jsonl"]

    ran = mdtree(*args)

    assert ran.code == 0, ran.err
    assert {*rows_of(tmp_path / "rows.jsonl")} == {"cold", "hot"}
    assert "0 measured, 2 already there" in mdtree(*args).out
    file = hub / "someone" / "zoo" / "hot" / "seed-0.safetensors"
    shutil.copy(file.with_name("seed-1.safetensors"), file)  # the same size, another blob
    assert "1 measured, 1 already there" in mdtree(*args).out


def test_a_revision_and_a_folder_of_a_repository_are_part_of_the_address(hub):
    folder = hub / "someone" / "net@main" / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "config.json").write_text("{}")
    (found,) = find_stored_folders("hf://someone/net@main/runs/a")
    assert (found.name, found.files) == ("a", (Path("model.safetensors"),))
    with fetched("hf://someone/net@main/runs/a", found.files) as (file,):
        assert file.read_bytes() == b"x"
        assert file.with_name("config.json").is_file()


def test_what_is_not_there_or_does_not_answer_is_named(hub, monkeypatch, mdtree):
    with pytest.raises(
        UnreadableError, match=r"hf://someone/none cannot be listed: .*someone/none"
    ):
        check_place("hf://someone/none")
    monkeypatch.setattr(Hub, "broken", True)
    with pytest.raises(UnreadableError, match="the Hub does not answer"):
        check_place("hf://someone/none")
    ran = mdtree("measure", "hf://someone/none", "--model", "cnn", "--data", "digits")
    assert (ran.code, ran.out) == (2, "")
    assert "the Hub does not answer" in ran.err
    assert "Traceback" not in ran.err


def test_a_hub_that_stops_answering_is_an_error_of_the_group(hub, monkeypatch):
    (hub / "a" / "b").mkdir(parents=True)
    (hub / "a" / "b" / "1.pt").write_bytes(b"x")
    monkeypatch.setattr(Hub, "isfile", lambda self, path: self.info(path)["type"] == "file")
    with fetched("hf://a/b", [Path("1.pt")]) as (file,):
        assert file.read_bytes() == b"x"
    monkeypatch.setattr(Hub, "broken", True)
    with (
        pytest.raises(UnreadableError, match="the Hub does not answer"),
        fetched("hf://a/b", [Path("1.pt")]),
    ):
        pass


def test_without_its_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delitem(REGISTRY, "hf", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MdtreeError, match="hf:// huggingface_hub"):
        check_place("hf://someone/zoo")


@pytest.mark.parametrize(
    "path", ["someone/net", "someone/net@refs/pr/1/runs", "datasets/someone/runs", "gpt2"]
)
def test_the_library_of_the_hub_takes_the_address(path):
    library = pytest.importorskip("huggingface_hub")
    system, root = fsspec.core.url_to_fs(f"hf://{path}", use_listings_cache=False)
    assert isinstance(system, library.HfFileSystem)
    assert root == path


def test_the_library_of_the_hub_without_a_network_is_one_error():
    pytest.importorskip("huggingface_hub")
    with offline("this test"), pytest.raises(MdtreeError):
        check_place("hf://someone/zoo")
