from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mdtree import vision
from mdtree.checkpoint import find_folders, load_checkpoint
from mdtree.config import ModelSpec, Trust
from mdtree.exceptions import RecipeError
from mdtree.models import Network, build_network

BERT = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 4,
    "max_position_embeddings": 16,
    "num_labels": 3,
}


def write_config(folder: Path, **changes: object) -> Path:
    (folder / "config.json").write_text(json.dumps({**BERT, **changes}))
    return folder


def build(folder: Path | None, **kwargs: object) -> Network:
    spec = ModelSpec(factory="huggingface", kwargs=kwargs)
    return build_network(spec, trust=Trust(), folder=folder)


def check_refused(folder: Path | None, words: str, **kwargs: object) -> None:
    with pytest.raises(RecipeError, match=words):
        build(folder, **kwargs)


def test_a_folder_gives_the_network_that_was_saved_there(tmp_path, monkeypatch):
    with vision.usable():
        import transformers

    settings = {
        key: value for key, value in BERT.items() if key not in ("architectures", "num_labels")
    }
    config = transformers.BertConfig(num_labels=3, **settings)
    torch.manual_seed(1)
    saved = transformers.BertForSequenceClassification(config).eval()
    saved.half().save_pretrained(tmp_path / "runs" / "seed0")
    saved.float()
    monkeypatch.chdir(tmp_path)
    ((path,),) = (folder.files for folder in find_folders(Path("runs")))
    ours = build(path.parent)
    assert sum(p.numel() for p in saved.parameters()) == ours.parameters
    weights = load_checkpoint(path, ours.module, name="seed0").weights
    for items in (3, 4):
        tokens = torch.arange(items * 5).reshape(items, 5) % 11
        batch = {"input_ids": tokens, "attention_mask": (tokens > 1).long()}
        with torch.no_grad():
            logits = ours(weights, {**batch, "labels": torch.zeros(items).long()})
            torch.testing.assert_close(saved(**batch).logits, logits)
        assert logits.shape == (items, 3)
        assert logits.dtype == torch.float32


def test_settings_come_from_the_folder_alone(tmp_path):
    check_refused(None, "takes its settings from config.json alone")
    check_refused(write_config(tmp_path), "takes its settings from config.json alone", num_labels=2)


def test_a_folder_without_config_is_told(tmp_path):
    check_refused(tmp_path, f"needs {tmp_path}/config.json: No such file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON: "),
        (b"", "is not JSON: "),
        (b"\xff\xfe", "is not JSON: "),
        (b"[" * 99999, "is not JSON: "),
        (b"[1]", "describes no network: it holds a list"),
        (b"{}", "names the architecture None, which transformers .* does not have"),
    ],
)
def test_a_broken_config_is_told(tmp_path, content, words):
    (tmp_path / "config.json").write_bytes(content)
    check_refused(tmp_path, words)


def test_code_beside_the_weights_is_never_run(tmp_path):
    victim = tmp_path / "victim"
    code = f"open({str(victim)!r}, 'w').close()\nclass Net: pass\n"
    (tmp_path / "modeling_net.py").write_text(code)
    for auto_map in ({"AutoModel": "modeling_net.Net"}, {"AutoConfig": "modeling_net.Net"}):
        check_refused(
            write_config(tmp_path, auto_map=auto_map), r"\(auto_map\), which is never run"
        )
    check_refused(write_config(tmp_path, architectures=["modeling_net.Net"]), "does not have")
    assert not victim.exists()


@pytest.mark.parametrize(
    "names",
    [["BertForNothing"], ["BertConfig"], ["logging"], ["os"], ["__file__"], [3], [], "Bert", None],
)
def test_a_name_that_is_no_network_of_transformers_is_refused(tmp_path, names):
    check_refused(write_config(tmp_path, architectures=names), "names the architecture .* not have")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 3},
        {"hidden_act": "nothing"},
        {"vocab_size": "many"},
        {"num_hidden_layers": -1, "hidden_size": -8},
        {"architectures": ["PreTrainedModel"]},
    ],
)
def test_settings_that_make_no_network_are_told(tmp_path, changes):
    folder = write_config(tmp_path, **changes)
    name = changes.get("architectures", BERT["architectures"])[0]
    check_refused(folder, f"config.json does not describe a {name}: .")


def test_without_transformers_the_extra_is_named(tmp_path):
    write_config(tmp_path)
    code = f"""
import sys
sys.modules["transformers"] = None  # as if it were not installed
from pathlib import Path
from mdtree.config import ModelSpec, Trust
from mdtree.exceptions import MissingExtraError
from mdtree.models import build_model
try:
    build_model(ModelSpec(factory="huggingface"), trust=Trust(), folder=Path({str(tmp_path)!r}))
except MissingExtraError as error:
    print(error.exit_code, error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("3 ")
    assert "pip install 'mdtree-diagnosis[hf]'" in ran.stdout
