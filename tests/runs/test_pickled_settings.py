"""Settings in pickles: numbers and words, as Python writes them, and as nobody should."""

from __future__ import annotations

import argparse
import enum
import pickle
import zipfile
from dataclasses import dataclass

import pytest
import torch

from mdtree.runs.pickled_settings import read_arguments, read_pickled_settings
from mdtree.runtime import torchvision as vision


class Optimizer(str, enum.Enum):  # as transformers has it  # noqa: UP042
    ADAMW = "adamw_torch"
    SGD = "sgd"


class Schedule(str, enum.Enum):  # noqa: UP042
    COSINE = "cosine_with_restarts"


class ByName(enum.Enum):
    """An enum that is pickled by the name of its value, as Python 3.11.0 did."""

    ADAGRAD = 1

    def __reduce_ex__(self, protocol):
        return getattr, (type(self), self._name_)


@dataclass
class Options:
    """Arguments such as those of Hugging Face's Trainer."""

    lr_scheduler_type: object = Schedule.COSINE
    optim: object = Optimizer.ADAMW
    learning_rate: float = 0.5
    former: object = Optimizer.ADAMW
    task: str = "sgd"


def write(path, pickled):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled)
    return path


@pytest.fixture
def read(tmp_path):
    def settings(pickled):
        return read_pickled_settings(write(tmp_path / "training_args.bin", pickled))

    return settings


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_enums_are_read_as_the_text_that_they_are_made_of(read, protocol):
    assert read(pickle.dumps(Options(), protocol)) == {
        "lr_scheduler_type": "cosine_with_restarts",
        "optim": "adamw_torch",
        "learning_rate": 0.5,
    }


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_enum_may_be_pickled_by_name_and_its_class_for_the_second_time(read, protocol):
    options = {"a": ByName.ADAGRAD, "b": Optimizer.SGD, "c": "opt", "optimizer": Optimizer.ADAMW}
    assert read(pickle.dumps({"opt": ByName.ADAGRAD}, protocol)) == {"opt": "ADAGRAD"}
    assert read(pickle.dumps(options, protocol)) == {"optimizer": "adamw_torch"}


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
def test_texts_that_only_stand_beside_a_setting_are_not_its_value(read, protocol):
    options = {
        "mode": "opt",
        "momentum": 0.9,  # not opt: momentum
        "sort_by": "schedule",
        "step": None,
        "optim": "mine",
        "nesterov": True,
        "scheduler": ["linear"],
        "optimizer": ("sgd",),
        "sched": {"linear": 1},
    }
    assert read(pickle.dumps(options, protocol)) == {"momentum": 0.9, "linear": 1}


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_word_may_be_one_that_the_pickle_has_had_before(read, protocol):
    word = "linear"
    options = {"decay": word, "sched": word, "last": {"optim": "sgd"}}
    assert read(pickle.dumps(options, protocol)) == {"sched": "linear", "optim": "sgd"}


def test_training_arguments_of_transformers_are_read(tmp_path):
    with vision.usable():
        transformers = pytest.importorskip("transformers")
        pytest.importorskip("accelerate")
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), optim="sgd", lr_scheduler_type="constant_with_warmup"
        )
    for path, protocol in ((tmp_path / "training_args.bin", 2), (tmp_path / "args.bin", 4)):
        torch.save(arguments, path, pickle_protocol=protocol)
        settings = read_pickled_settings(path)
        assert settings["optim"] == "sgd"
        assert settings["lr_scheduler_type"] == "constant_with_warmup"
        assert settings["num_train_epochs"] == 3


def test_only_words_of_the_arguments_count(tmp_path):
    content = {
        "opt": "adam",
        "args": argparse.Namespace(opt="sgd", lr_scheduler="steplr", optim=Optimizer.SGD, lr=0.5),
        "config": {"sched": "cosine", "lr_scheduler": "constant"},
    }
    torch.save(content, tmp_path / "model.pth")
    read = {"opt": "sgd", "lr_scheduler": "steplr", "optim": "sgd", "lr": 0.5}
    assert read_arguments(tmp_path / "model.pth") == read


@pytest.mark.parametrize(
    "word",
    ["adamw" + "w" * 500_000, "adamw\n", "adamw\x1b[2J", "\ud800sgd", ""],
    ids=["long", "line", "escape", "surrogate", "empty"],
)
def test_a_word_that_cannot_be_shown_is_none(read, word):
    assert read(pickle.dumps({"optim": word, "opt": "sgd", "lr": 0.5}, 2)) == {
        "opt": "sgd",
        "lr": 0.5,
    }


def test_a_thousand_settings_that_contradict_each_other_are_none(read):
    options = [{"optim": f"sgd_{number}", "opt": "adam"} for number in range(1_000)]
    assert read(pickle.dumps([*options, {"lr": 0.5}], 2)) == {"opt": "adam", "lr": 0.5}


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x93" * 1_000,
        b"X\5\0\0\0optim" + b"\x93" * 1_000,
        b"h\7" * 1_000 + b"X\5\0\0\0optimcos\nsystem\nX\4\0\0\0true\x85R",
        b"X\5\0\0\0optim" * 10_000,
        b"X\5\0\0\0optimq\0" + b"h\0" * 100_000,
    ],
    ids=["no class", "no names", "a command", "names alone", "one name again and again"],
)
def test_pickles_without_sense_tell_nothing(read, pickled):
    assert read(b"\x80\2" + pickled + b".") == {}
