"""The library of the Hugging Face Hub, as it is, against a small Hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

import mdtree as package
from mdtree.checkpoints import fetched, find_stored_folders
from mdtree.checkpoints.remote import check_place
from mdtree.exceptions import MdtreeError, UnreadableError
from tests.support.hub import running_hub
from tests.support.language import gpt2
from tests.support.zoos import rows_of, write_zoo

library = pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with a repository of two groups, to which the library of this process speaks."""
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with running_hub(tmp_path / "hub") as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        write_zoo(hub.folder("models", "someone/zoo"), {"cold": [0, 1], "hot": [0]})
        yield hub
    library.HfFileSystem.clear_instance_cache()


@pytest.fixture
def recipe(hub, tmp_path):
    """The recipe of that repository, on this machine."""
    path = tmp_path / "r.yaml"
    shutil.copy(hub.folder("models", "someone/zoo") / "mdtree.yaml", path)
    return path


def test_a_repository_is_measured_and_only_what_changed_is_fetched_again(
    hub, recipe, mdtree, tmp_path
):
    out = tmp_path / "rows.jsonl"
    args = ["measure", "hf://someone/zoo", "--recipe", recipe, "--metrics", "error_rate"]
    ran = mdtree(*args, "--out", out)
    assert ran.code == 0, ran.err
    assert {*rows_of(out)} == {"cold", "hot"}
    names = ("cold/seed-0", "cold/seed-1", "hot/seed-0")
    assert sorted(hub.asked) == [f"someone/zoo/{name}.safetensors" for name in names]

    hub.asked.clear()
    assert "0 measured, 2 already there" in mdtree(*args, "--out", out).out
    assert hub.asked == []

    folder = hub.folder("models", "someone/zoo")  # another commit, while this process goes on
    shutil.copy(folder / "cold" / "seed-1.safetensors", folder / "hot" / "seed-0.safetensors")
    assert "1 measured, 1 already there" in mdtree(*args, "--out", out).out
    assert hub.asked == ["someone/zoo/hot/seed-0.safetensors"]


@pytest.mark.parametrize(
    "address",
    ["hf://someone/zoo@main/hot", "hf://someone/zoo@refs/pr/1/hot", "hf://someone/zoo/hot"],
)
def test_a_revision_and_a_folder_are_part_of_the_address(hub, address):
    (found,) = find_stored_folders(address)
    assert (found.name, [str(file) for file in found.files]) == ("hot", ["seed-0.safetensors"])
    with fetched(address, found.files) as (file,):
        original = hub.folder("models", "someone/zoo") / "hot" / "seed-0.safetensors"
        assert file.read_bytes() == original.read_bytes()


def test_a_repository_of_data_is_an_address_too(hub, recipe, mdtree, tmp_path):
    shutil.copytree(
        hub.folder("models", "someone/zoo") / "hot", hub.folder("datasets", "someone/runs")
    )
    args = ["hf://datasets/someone/runs", "--recipe", recipe, "--metrics", "error_rate"]
    ran = mdtree("measure", *args, "--out", tmp_path / "rows.jsonl")
    assert ran.code == 0, ran.err
    assert hub.asked == ["someone/runs/seed-0.safetensors"]


def test_a_language_model_needs_its_data_only(hub, mdtree, tmp_path):
    pytest.importorskip("transformers")
    gpt2(0).save_pretrained(hub.folder("models", "someone/gpt2"))
    tokens = tmp_path / "train.jsonl"
    tokens.write_text("".join(json.dumps({"input_ids": [1, 2, 3, n]}) + "\n" for n in range(4)))
    args = ["hf://someone/gpt2", "--data", tokens, "--metrics", "error_rate"]
    ran = mdtree("measure", *args, "--out", tmp_path / "rows.jsonl")
    assert ran.code == 0, ran.err
    (row,) = rows_of(tmp_path / "rows.jsonl").values()
    assert row.quantities["train_perplexity"].value > 1


def test_weights_are_fetched_and_analysed(hub, mdtree):
    ran = mdtree("weights", "hf://someone/zoo", "--json")
    assert ran.code == 0, ran.err
    names = {f"{name}.safetensors" for name in ("cold/seed-0", "cold/seed-1", "hot/seed-0")}
    assert _names(ran.out) == names
    one = package.weights("hf://someone/zoo/hot/seed-0.safetensors")
    assert [*one.checkpoints] == ["seed-0.safetensors"]
    both = package.weights(
        "hf://someone/zoo/cold/seed-0.safetensors",
        against="hf://someone/zoo/cold/seed-1.safetensors",
    )
    assert both.updates


def test_a_private_repository_needs_the_token(hub, monkeypatch):
    hub.private.add("someone/zoo")
    with pytest.raises(UnreadableError, match=r"hf://someone/zoo cannot be listed: .*not found"):
        check_place("hf://someone/zoo")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    library.HfFileSystem.clear_instance_cache()
    assert check_place("hf://someone/zoo") == "hf://someone/zoo"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://someone/none", "not found"),
        ("hf://someone/zoo@nowhere", "revision not found"),
        ("hf://someone/zoo/nothing", "nothing"),
        ("hf://gpt2", "namespace/name"),
    ],
)
def test_what_is_not_there_is_an_error_with_the_address(hub, address, words, mdtree):
    ran = mdtree("weights", address)
    assert (ran.code, ran.out) == (2, "")
    assert f"{address} cannot be listed" in ran.err
    assert words in ran.err


def test_a_repository_without_checkpoints_is_told(hub, mdtree):
    folder = hub.folder("models", "someone/words")
    folder.mkdir()
    (folder / "README.md").write_text("nothing yet")
    ran = mdtree("weights", "hf://someone/words")
    assert (ran.code, "there are no checkpoints at hf://someone/words" in ran.err) == (2, True)


def test_a_file_that_is_damaged_is_named_by_its_address(hub):
    file = hub.folder("models", "someone/zoo") / "hot" / "seed-0.safetensors"
    file.write_bytes(b"\0" * 100)
    with pytest.raises(MdtreeError, match=r"hf://someone/zoo/hot/seed-0\.safetensors"):
        package.weights("hf://someone/zoo/hot")


def test_the_command_finds_another_hub_by_the_environment(hub, tmp_path):
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        [sys.executable, "-m", "mdtree", "weights", "hf://someone/zoo/hot", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert _names(ran.stdout) == {"seed-0.safetensors"}


def _names(printed):
    return {each["checkpoint"] for each in json.loads(printed)["checkpoints"]}
