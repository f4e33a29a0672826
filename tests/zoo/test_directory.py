"""The directory of a zoo: its config is kept, another is refused, one run writes at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from torch import nn

from mdtree.exceptions import LockedError, OutputError, RecipeError
from mdtree.recipes import Trust, read_recipe, read_zoo
from mdtree.zoo import pending
from tests.support.zoo_training import BASE_CONFIG, contents, trained_zoo, zoo


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "zoo"
    assert trained_zoo(out).trained == 4
    return out


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ({"grid": {"width": [2, 3, 4]}}, ["grid.width: [2, 3], now [2, 3, 4]"]),
        (
            {"seeds": 3, "training": {**BASE_CONFIG["training"], "momentum": 0.5}},
            ["training.momentum: 0.9, now 0.5", "seeds: 2, now 3"],
        ),
        ({"model": "cnn", "training": {**BASE_CONFIG["training"], "batch_size": "$width"}}, None),
    ],
)
def test_another_config_is_refused_with_the_difference(whole, parts, lines):
    before = contents(whole), (whole / "zoo.yaml").read_bytes()
    for run in (
        trained_zoo,
        lambda out, **p: pending(zoo(**p), folder=Path(), out=out, trust=Trust()),
    ):
        with pytest.raises(RecipeError, match="were trained with another config") as error:
            run(whole, **parts)
        refusal = [line.strip() for line in str(error.value).splitlines()]
        assert refusal[1:-1] == lines or lines is None
        assert "train into another directory with --out" in refusal[-1]
    assert (contents(whole), (whole / "zoo.yaml").read_bytes()) == before


NASTY = [
    "1e-3",
    "1.5",
    "-1",
    "007",
    "0x1f",
    "on",
    "null",
    "~",
    "",
    "2020-01-01",
    "a: b",
    "é\n#",
    "+.e",
]


def test_the_config_is_read_back_as_it_was_whatever_it_says(tmp_path):
    kwargs = {"width": "$width", "rest": {"none": None, "texts": NASTY, 3: [1e-5, float("inf")]}}
    parts = {
        "model": {"factory": "tests.zoo.test_directory:Anything", "kwargs": kwargs},
        "facts": {f"f{n}": text for n, text in enumerate(NASTY)},
        "grid": {"width": [2], "kind": ["x"]},
        "loss": {"factory": "tests.zoo.test_directory:loss", "kwargs": {"kind": "$kind"}},
    }
    trained_zoo(tmp_path, **parts)
    assert read_zoo(tmp_path / "zoo.yaml") == zoo(**parts)
    assert read_recipe(tmp_path / "mdtree.yaml") == zoo(**parts).recipe()
    assert trained_zoo(tmp_path, **parts).already == 2


class Anything(nn.Linear):
    def __init__(self, width, rest):
        super().__init__(8, 10)
        assert rest["none"] is None
        assert rest[3][0] == 1e-5

    def forward(self, x):
        return super().forward(x[:, 0, 0])


def loss(kind):
    return lambda output, _: output.square().mean(1)


def test_a_recipe_that_was_changed_by_hand_is_kept_and_a_lost_one_is_written_again(tmp_path):
    trained_zoo(tmp_path)
    path = tmp_path / "mdtree.yaml"
    before = path.read_text()
    path.write_text(before + "# mine\n")
    trained_zoo(tmp_path)
    assert path.read_text() == before + "# mine\n"
    path.unlink()
    trained_zoo(tmp_path)
    assert path.read_text() == before


def test_a_directory_with_a_recipe_of_its_own_is_left_alone(tmp_path):
    (tmp_path / "mdtree.yaml").write_text("model: cnn")
    with pytest.raises(OutputError, match="is not of a zoo and would be lost: choose another --o"):
        trained_zoo(tmp_path)
    assert (tmp_path / "mdtree.yaml").read_text() == "model: cnn"
    assert not (tmp_path / "zoo.yaml").exists()


@pytest.mark.parametrize("text", ["model: [", "model: cnn", ""])
def test_a_directory_whose_config_cannot_be_read_is_left_alone(tmp_path, text):
    (tmp_path / "zoo.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"zoo\.yaml"):
        trained_zoo(tmp_path)
    assert (tmp_path / "zoo.yaml").read_text() == text


def test_two_runs_do_not_share_a_directory(tmp_path):
    with (
        FileLock(tmp_path / ".zoo.lock"),
        pytest.raises(LockedError, match="another mdtree is tra"),
    ):
        trained_zoo(tmp_path)
    assert trained_zoo(tmp_path).trained == 4


def test_the_lock_is_given_back_when_something_is_wrong(tmp_path):
    for _ in range(2):
        with pytest.raises(RecipeError, match="unknown"):
            trained_zoo(tmp_path, loss="nothing")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/zoo cannot be written: Not a directory"):
        trained_zoo(tmp_path / "file" / "zoo")


def test_the_files_say_what_they_are(whole):
    for name in ("zoo.yaml", "mdtree.yaml"):
        text = (whole / name).read_text()
        assert text.startswith("# Written by `mdtree zoo train`")
        assert yaml.safe_load(text)["format"] == 1
