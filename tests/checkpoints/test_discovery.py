from __future__ import annotations

import glob
import json
import os
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mdtree.checkpoints import checkpoint_files, find_folders, load_weights, named_files
from mdtree.checkpoints.discovery import _Search
from mdtree.exceptions import RecipeError

ONE = {"weight": torch.ones(1)}


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            path.write_text("{}")
        elif name.endswith(".safetensors"):
            save_file(ONE, path)
        else:
            torch.save(ONE, path)


def write_shards(folder: Path, stem: str = "model", *, suffix: str = "safetensors") -> str:
    parts = [f"{stem}-0000{n}-of-00002.{suffix}" for n in (1, 2)]
    write(folder, *parts)
    for name, part in zip("ab", parts, strict=True):
        (save_file if suffix == "safetensors" else torch.save)({name: ONE["weight"]}, folder / part)
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", parts, strict=True))}))
    return index.name


def listed(root: Path, **options: object) -> dict[str, list[str]]:
    folders = find_folders(root, **options)
    return {f.name: [str(path.relative_to(root)) for path in f.files] for f in folders}


def test_nested_folders_are_groups_in_order(tmp_path):
    write(tmp_path, "b/10.pt", "b/2.pt", "a/x/1.ckpt", "a/0.pth", "a/x/.cache/y.pt", ".git/z.pt")
    (tmp_path / "a" / "notes.txt").write_text("weights are below")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "folder.pt").mkdir()
    assert listed(tmp_path) == {"a": ["a/0.pth"], "a/x": ["a/x/1.ckpt"], "b": ["b/10.pt", "b/2.pt"]}


def test_folders_without_checkpoints_are_told_where_something_says_why(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    save_file({"w": torch.zeros(1)}, tmp_path / "b" / "w.safetensors")

    def lost(folder):
        return None if folder.name == "c" else "why"

    found = {folder.name: folder for folder in find_folders(tmp_path, lost=lost)}
    assert [*found] == [tmp_path.name, "a", "b"]
    assert (found["a"].files, found["a"].lost) == ((), "why")
    assert found["b"].lost is None


def test_weights_directly_in_the_root_are_a_group_of_its_name(tmp_path, monkeypatch):
    root = tmp_path / "runs"
    write(root, "1.pt", "2.pt", "more/3.pt")
    assert listed(root) == {"runs": ["1.pt", "2.pt"], "more": ["more/3.pt"]}
    monkeypatch.chdir(root)
    assert listed(Path()) == listed(root)


def test_a_huggingface_folder_is_one_checkpoint_of_the_group_around_it(tmp_path):
    for folder in ("wide/seed0", "wide/seed1", "alone"):
        write(tmp_path, f"{folder}/config.json", f"{folder}/model.safetensors")
        write(tmp_path, f"{folder}/pytorch_model.bin", f"{folder}/training_args.bin")
        write(tmp_path, f"{folder}/checkpoint-5/optimizer.pt")
    assert listed(tmp_path) == {
        "alone": ["alone/model.safetensors"],
        "wide": ["wide/seed0/model.safetensors", "wide/seed1/model.safetensors"],
    }
    assert list(listed(tmp_path / "alone")) == ["alone"]


def grouped(root: Path) -> list[tuple[str, list[Path]]]:
    """Group and sort all weights below a directory as the rules say, with everything at hand."""
    groups: dict[Path, list[Path]] = {}
    for file in root.rglob("*.safetensors"):
        folder = file.parent
        whole = (folder / "config.json").exists() and (folder / "model.safetensors").exists()
        if whole and file.name != "model.safetensors":
            continue
        inner = whole and root not in (folder, folder.parent)
        groups.setdefault(folder.parent if inner else folder, []).append(file)
    return [(at.relative_to(root).as_posix(), sorted(groups[at])) for at in sorted(groups)]


FOLDER = st.lists(st.sampled_from(["a", "a-", "a b", "B", "a.1", "é"]), min_size=1, max_size=4)
FILE = st.sampled_from(["model.safetensors", "config.json", "0.safetensors", "notes.txt"])


@given(st.sets(st.tuples(FOLDER.map("/".join), FILE), max_size=12))
@settings(deadline=None, derandomize=True)
def test_folders_come_in_the_order_of_their_paths_with_what_belongs_to_them(places):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder, file in places:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / file).touch()
        listed = [(folder.name, list(folder.files)) for folder in find_folders(root)]
        assert listed == grouped(root)


def test_folders_are_given_while_the_directory_is_walked(tmp_path):
    write(tmp_path, "a/0.pt", "b/0.pt", "c/0.pt", "c/d/0.pt")
    folders = find_folders(tmp_path)
    assert next(folders).name == "a"
    write(tmp_path, "c/e/1.pt")
    (tmp_path / "b" / "0.pt").unlink()
    (tmp_path / "b").rmdir()
    assert [folder.name for folder in folders] == ["c", "c/d", "c/e"]


def test_memory_grows_by_the_names_of_folders_alone(tmp_path):
    """A list of the folders and their files takes over 1,000 bytes for each."""
    peaks = []
    for count in (100, 100, 1000):
        root = tmp_path / str(len(peaks))
        for number in range(count):
            (root / f"{number:04}").mkdir(parents=True)
            (root / f"{number:04}" / "0.pt").touch()
        tracemalloc.start()
        assert sum(1 for _ in find_folders(root)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / 900 < 400


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("config", [True, False])
def test_a_checkpoint_in_shards_is_one(tmp_path, suffix, config):
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    index = write_shards(tmp_path / "seed0", stem, suffix=suffix)
    if config:
        write(tmp_path, "seed0/config.json")
    assert listed(tmp_path) == {"seed0": [f"seed0/{index}"]}
    assert load_weights(tmp_path / "seed0" / index).tensors.keys() == {"a", "b"}


def test_single_files_beside_shards_are_checkpoints_too(tmp_path):
    one, two = write_shards(tmp_path / "g", "one"), write_shards(tmp_path / "g", "two")
    write(tmp_path, "g/three.pt", "g/data.index.json")
    expected = sorted([one, two, "three.pt"])
    assert expected == [path.name for path in checkpoint_files(tmp_path / "g")]


def test_a_damaged_index_is_listed_and_told_when_it_is_read(tmp_path):
    write(tmp_path, "g/model.safetensors.index.json", "g/other.pt")
    names = [path.name for path in checkpoint_files(tmp_path / "g")]
    assert names == ["model.safetensors.index.json", "other.pt"]


def test_what_trainers_write_beside_weights_is_left_out(tmp_path):
    write(tmp_path, "g/last.pt", "g/optimizer.pt", "g/scheduler.pt", "g/rng_state_1.pth")
    write(tmp_path, "g/training_args.bin", "g/.last.pt", "g/trainer_state.json", "g/optimizer.bin")
    assert listed(tmp_path) == {"g": ["g/last.pt"]}


def test_data_files_are_left_out(tmp_path, monkeypatch):
    write(tmp_path, "runs/train.pt", "runs/g/0.pt", "runs/g/test.pt")
    monkeypatch.chdir(tmp_path)
    data = [Path("runs/train.pt"), tmp_path / "runs" / "g" / ".." / "g" / "test.pt"]
    for root in (tmp_path / "runs", Path("runs")):
        assert listed(root, leave_out=data) == {"g": ["g/0.pt"]}


@pytest.mark.parametrize("name", ["a b", "ä", "[1]", "*", "--out", "a\nb", "'\"", "{x}", "🙂"])
def test_odd_names(tmp_path, name):
    write(tmp_path, f"{name}/{name}.pt")
    assert listed(tmp_path) == {name: [f"{name}/{name}.pt"]}
    files = named_files(tmp_path, [f"{name}/{name}.pt"], group="g")
    assert files == (tmp_path / name / f"{name}.pt",)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_valid_text(tmp_path):
    inner = tmp_path / os.fsdecode(b"w\xff8")
    inner.mkdir()
    (inner / "seed.pt").write_bytes(b"")
    (folder,) = find_folders(tmp_path)
    assert folder.name == "w\\udcff8"
    assert folder.name.encode() == b"w\\udcff8"  # can be written anywhere
    assert folder.files[0].read_bytes() == b""


def test_loops_of_links_end(tmp_path):
    write(tmp_path, "g/0.pt")
    (tmp_path / "g" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "g" / "self.pt").symlink_to(tmp_path / "g" / "self.pt")
    (tmp_path / "g" / "gone.pt").symlink_to(tmp_path / "nothing.pt")
    (tmp_path / "g" / "1.pt").symlink_to(tmp_path / "g" / "0.pt")
    assert listed(tmp_path) == {"g": ["g/0.pt", "g/1.pt"]}
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "g", target_is_directory=True)
    assert listed(link) == {"g": ["0.pt", "1.pt"]}


def test_nothing_is_found_in_what_is_no_folder(tmp_path):
    assert list(find_folders(tmp_path / "nothing")) == []
    assert checkpoint_files(tmp_path / "nothing") == []


def test_named_files_are_paths_patterns_and_folders(tmp_path):
    write(tmp_path, "a/0.pt", "a/1.pt", "a/deep/er/2.pt", "b/seed.pt", "hf/config.json")
    index = write_shards(tmp_path / "hf")

    def named(*patterns: str) -> list[str]:
        return [str(p.relative_to(tmp_path)) for p in named_files(tmp_path, patterns, group="g")]

    assert named("a/?.pt", "a/1.pt") == ["a/0.pt", "a/1.pt"]
    assert named("a/**/*.pt") == ["a/0.pt", "a/1.pt", "a/deep/er/2.pt"]
    assert named("b", "hf") == ["b/seed.pt", f"hf/{index}"]
    assert named(str(tmp_path / "b" / "*.pt")) == ["b/seed.pt"]


@pytest.mark.parametrize("pattern", ["c/*.pt", "nothing.pt", "", "\0", "[", "x" * 999])
def test_a_pattern_without_a_match_is_told(tmp_path, pattern):
    write(tmp_path, "a/0.pt")
    with pytest.raises(RecipeError) as error:
        named_files(tmp_path, ["a/0.pt", pattern], group="wide")
    assert f"group 'wide': no file matches {pattern!r} in {tmp_path}" == str(error.value)


def test_a_folder_without_weights_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="group 'wide': no weights file in empty"):
        named_files(tmp_path, ["empty"], group="wide")


def dig(root: Path, name: str, depth: int) -> None:
    """Make folders in folders with a file in each, deeper than a path can name."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("0.pt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits of paths")
def test_what_lies_deeper_than_a_path_can_name_is_left_out(tmp_path):
    for length in range(199, 255):  # the limit falls into the name of a file, or of a folder
        root = tmp_path / str(length)
        root.mkdir()
        dig(root, "d" * length, 4096 // length + 2)
        names = [folder.name for folder in find_folders(root)]
        room = 4095 - len(str(root)) - len("/0.pt")
        assert len(names) == room // (length + 1) + 1
        assert len(named_files(root, ["**/*.pt"], group="g")) == len(names)


def test_patterns_do_not_go_through_a_circle_of_links(tmp_path):
    """Two links to their own folder are 2^40 ways before the system calls it a circle."""
    write(tmp_path, "g/0.pt", "g/h/1.pt", ".hidden/2.pt")
    for name in ("a", "b"):
        (tmp_path / "g" / name).symlink_to(".")
    files = named_files(tmp_path, ["**/*.pt"], group="g")
    assert files == (tmp_path / "g" / "0.pt", tmp_path / "g" / "h" / "1.pt")
    assert named_files(tmp_path, ["/".join(["**"] * 9) + "/*.pt"], group="g") == files
    assert named_files(tmp_path, ["g/a/*.pt"], group="g") == (tmp_path / "g" / "a" / "0.pt",)


@pytest.mark.parametrize("part", ["*/", "link/*/../../g/"])
def test_patterns_that_lead_to_too_many_names_are_refused(tmp_path, monkeypatch, part):
    monkeypatch.setattr("mdtree.checkpoints.discovery._MOST_NAMES", 10_000)
    root = tmp_path / "g"
    write(root, "a/0.pt", "b/0.pt")
    (root / "link").symlink_to(".")
    (root / "circle").symlink_to(".")
    with pytest.raises(RecipeError, match="group 'wide': its patterns visit more than 10,000"):
        named_files(root, [part * 30 + "*.pt"], group="wide")


def test_the_last_part_of_a_pattern_may_be_folders_in_folders(tmp_path):
    write(tmp_path, "a/0.pt", "a/b/1.pt")
    assert named_files(tmp_path, ["a/**"], group="g") == (
        tmp_path / "a" / "0.pt",
        tmp_path / "a" / "b" / "1.pt",
    )


NAMES = st.sampled_from(["a", "b", "ab", ".a", "a.pt", "[a]"])
PARTS = st.sampled_from(["a", "*", "**", "?", "a*", ".*", "[ab]", "[a]", ".", "*.pt", "[!a]"])


@given(
    st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=8),
    st.lists(PARTS, min_size=1, max_size=5).map("/".join),
)
@example({"a"}, "a/*/.")
@example({"a"}, "a/0.pt/.")
@settings(deadline=None)
def test_without_links_patterns_find_what_glob_finds(places, pattern):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for place in places:
            (root / place).mkdir(parents=True, exist_ok=True)
            (root / place / "0.pt").touch()
        expected = set()
        for wanted in (pattern, glob.escape(pattern)):
            expected = expected or {
                Path(root, path)
                for path in glob.glob(wanted, root_dir=root, recursive=True)  # noqa: PTH207
            }
        assert set(_Search(root, "g").matches(pattern)) ^ expected <= {root}
