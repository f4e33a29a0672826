from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from mdtree.checkpoints import find_folders, load_checkpoint
from mdtree.exceptions import MissingExtraError, RecipeError
from mdtree.models import Network, build_network, huggingface
from mdtree.recipes import ModelSpec, Trust
from mdtree.runtime import torchvision as vision

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
    check_refused(None, "needs a folder with config.json")
    check_refused(write_config(tmp_path), "takes all settings from config.json", num_labels=2)


def test_a_folder_without_config_is_told(tmp_path):
    check_refused(tmp_path, f"{tmp_path}/config.json does not describe a network .*--model")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON: "),
        (b"", "is not JSON: "),
        (b"\xff\xfe", "is not JSON: "),
        (b"[" * 99999, "is not JSON: "),
        (b"[1]", "must contain a JSON object, got a list"),
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


def test_without_transformers_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'mdtree-diagnosis\[hf\]'") as raised:
        build(write_config(tmp_path))
    assert raised.value.exit_code == 3


VIT = {
    "model_type": "vit",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 4,
    "image_size": 8,
    "patch_size": 4,
}


def write_nested(folder: Path, **decoder: object) -> Path:
    """Write a config whose inner config names code that lies in the folder."""
    code = f"open({str(folder / 'victim')!r}, 'w').close()\nclass Net: pass\n"
    (folder / "modeling_net.py").write_text(code)
    nested = {
        "architectures": ["VisionEncoderDecoderModel"],
        "model_type": "vision-encoder-decoder",
        "encoder": VIT,
        # transformers has no ViT that writes text: without code from elsewhere there is no network
        "decoder": {**VIT, "name_or_path": str(folder), **decoder},
    }
    (folder / "config.json").write_text(json.dumps(nested))
    return folder


CODE = {"AutoModelForCausalLM": "modeling_net.Net"}
INNER = {
    "auto_map": {"auto_map": CODE},
    "another's repository": {"auto_map": {"AutoModelForCausalLM": "evil/net--modeling.Net"}},
    "deeper": {"parts": [{"x": [{"auto_map": CODE}]}]},
    "another name for it": {"attribute_map": {"auto_map": "x"}, "x": CODE},
}


@pytest.fixture
def asked(monkeypatch):
    """Answer every question with yes, and note it."""
    questions = []
    monkeypatch.setattr("builtins.input", lambda *said: questions.append(said) or "y")
    return questions


@pytest.mark.parametrize("inner", INNER)
def test_code_that_an_inner_config_names_is_never_run_and_nobody_is_asked(tmp_path, asked, inner):
    words = r"\(attribute_map\)" if inner == "another name for it" else r"\(auto_map\), which is n"
    check_refused(write_nested(tmp_path, **INNER[inner]), words)
    assert asked == []
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("inner", ["auto_map", "another's repository", "another name for it"])
def test_nobody_is_asked_even_about_what_was_overlooked(tmp_path, monkeypatch, asked, inner):
    monkeypatch.setattr(huggingface, "_BEYOND", {})
    check_refused(write_nested(tmp_path, **INNER[inner]), "does not describe a VisionEncoderDecod")
    assert asked == []
    assert not (tmp_path / "victim").exists()


def test_the_user_s_own_transformers_may_ask_again_afterwards(tmp_path):
    from transformers import dynamic_module_utils

    before = dynamic_module_utils.TIME_OUT_REMOTE_CODE
    build(write_config(tmp_path))
    assert before == dynamic_module_utils.TIME_OUT_REMOTE_CODE > 0


def test_of_a_folder_the_config_alone_is_read(beside_kernels):
    assert beside_kernels["opened"] == ["config.json"]


def test_a_config_that_chooses_another_file_is_refused(tmp_path):
    (tmp_path / "config.4.0.0.json").write_text(json.dumps({**BERT, "hidden_size": 16}))
    folder = write_config(tmp_path, configuration_files=["config.4.0.0.json"])
    check_refused(folder, r"other files \(configuration_files\), but only config\.json is read")


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("UperNetForSemanticSegmentation", {"backbone": "evil/resnet"}),
        ("UperNetForSemanticSegmentation", {"backbone": "evil/resnet", "use_timm_backbone": False}),
        ("DepthAnythingForDepthEstimation", {"backbone": "evil/dinov2"}),
    ],
)
def test_a_backbone_on_the_network_is_not_asked_for(tmp_path, architecture, config):
    folder = write_config(tmp_path, architectures=[architecture], model_type=None, **config)
    check_refused(folder, r"config\.json needs network access, which is not allowed")


def test_more_labels_than_there_can_be_are_refused(tmp_path):
    check_refused(write_config(tmp_path, num_labels=200_000_000), "num_labels: 200000000, at most")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_args": {"checkpoint_path": "evil.pt"}}, "leave out checkpoint_path, mdtree loads"),
        ({"model_args": {"pretrained_cfg": {"file": "a"}}}, "leave out pretrained_cfg, mdtree"),
        (
            {"architecture": "hf-hub:evil/net"},
            "refers to another place with architecture 'hf-hub:evil/net'",
        ),
        (
            {"part": {"backbone": "local-dir:/evil"}},
            "refers to another place with backbone 'local-dir:/evil'",
        ),
    ],
)
def test_weights_and_networks_that_timm_would_look_up_are_refused(tmp_path, config, words):
    check_refused(write_config(tmp_path, **config), words)


KERNELS = """
class Anything:
    def __init__(self, *args, **kwargs): pass
    def __call__(self, *args, **kwargs): return args[0] if args and callable(args[0]) else self
    def __getattr__(self, name): return Anything()
    def __or__(self, other): return self
def get_kernel(name, **kwargs):
    raise SystemExit(f"the kernel {name} was fetched")
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return Anything()
"""


READING = """
import json, sys
from pathlib import Path
opened = set()
def note(event, args):
    if event == "open" and str(args[0]).startswith(sys.argv[1]):
        opened.add(Path(args[0]).name)
sys.addaudithook(note)
from mdtree.models.huggingface import from_folder
from_folder(Path(sys.argv[1]))
from transformers.utils import is_kernels_available
chosen = [from_folder(Path(folder)).config._attn_implementation for folder in sys.argv[2:]]
said = {"opened": sorted(opened), "known": is_kernels_available(), "chosen": chosen}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def beside_kernels(ready_code, tmp_path_factory):
    """Read folders beside something in the place of the package `kernels`.

    It ends all where it fetches.  It must be there before transformers: so in another process.
    """
    place = tmp_path_factory.mktemp("kernels")
    (place / "kernels" / "layer").mkdir(parents=True)
    (place / "kernels" / "__init__.py").write_text(KERNELS)
    (place / "kernels" / "layer" / "__init__.py").touch()
    (place / "kernels" / "layer" / "mode.py").write_text("class Mode: pass")
    info = place / "kernels-0.18.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.2\n")
    (info / "RECORD").write_text("kernels/__init__.py,,\n")
    folders = [write_laden(tmp_path_factory.mktemp("laden"))]
    folders += [
        write_config(tmp_path_factory.mktemp("config"), **change)
        for change in (
            {"attn_implementation": "evil/kernel"},
            {"_attn_implementation": "evil/kernel@main:attention"},
            {"attn_implementation": {"": "evil/kernel"}},
            {"_attn_implementation_internal": "evil/kernel"},
            {"experts_implementation": "evil/kernel"},
        )
    ]
    ran = ready_code(READING, *folders, path=place)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def write_laden(folder: Path) -> Path:
    """Write a config, and beside it other files that transformers knows."""
    write_config(folder, custom_generate="custom_generate/generate.py")
    for name in ("configuration_bert.py", "modeling_bert.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise SystemExit('it was run')")
    for name in ("adapter_config.json", "generation_config.json", "tokenizer_config.json"):
        (folder / name).write_text('{"base_model_name_or_path": "evil/net"}')
    return folder


def test_attention_that_would_be_fetched_and_run_is_computed_by_torch(beside_kernels):
    if not beside_kernels["known"]:
        pytest.skip("this transformers takes another release of `kernels`")
    chosen = beside_kernels["chosen"]
    assert set(chosen) <= {"eager", "sdpa"}  # which one, depends on the release of transformers
    assert len(chosen) == 5


@pytest.mark.parametrize("chosen", ["eager", "sdpa"])
def test_attention_that_transformers_has_itself_is_as_transformers_reads_it(tmp_path, chosen):
    path = write_config(tmp_path, attn_implementation=chosen)
    module = build(path).module
    expected = type(module)(type(module.config).from_pretrained(tmp_path))  # 5.3 ignores the key
    assert module.config._attn_implementation == expected.config._attn_implementation


def saved_folders():
    """Give networks of many families, as transformers saves them."""
    import transformers as t

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 11, "intermediate_size": 4, "max_position_embeddings": 16}
    image = {**small, "intermediate_size": 4, "image_size": 8, "patch_size": 4}
    clip = t.CLIPConfig(text_config=text, vision_config=image, projection_dim=4)
    return {
        "BERT": t.BertForSequenceClassification(t.BertConfig(num_labels=3, **text)),
        "GPT-2": t.GPT2ForSequenceClassification(
            t.GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=16)
        ),
        "DistilBERT": t.DistilBertForSequenceClassification(
            t.DistilBertConfig(vocab_size=11, dim=8, n_layers=1, n_heads=2, hidden_dim=4)
        ),
        "ViT": t.ViTForImageClassification(t.ViTConfig(**image)),
        "ConvNeXt": t.ConvNextForImageClassification(
            t.ConvNextConfig(hidden_sizes=[4, 4, 8, 8], depths=[1, 1, 1, 1], image_size=32)
        ),
        "ResNet": t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1])
        ),
        "CLIP": t.CLIPModel(clip),
        "half of CLIP": t.CLIPVisionModelWithProjection(clip.vision_config),
        "encoder and decoder": t.EncoderDecoderModel(
            t.EncoderDecoderConfig.from_encoder_decoder_configs(
                t.BertConfig(**text), t.BertConfig(**text)
            )
        ),
        "infinite numbers": t.BertForSequenceClassification(
            t.BertConfig(bound=float("inf"), **text)
        ),
    }


def test_networks_of_many_families_are_as_transformers_reads_their_folders(tmp_path):
    with vision.usable():
        import transformers as t
    for name, saved in saved_folders().items():
        saved.save_pretrained(tmp_path / name)
        theirs = type(saved.config).from_pretrained(tmp_path / name)
        ours = build(tmp_path / name).module
        assert type(ours) is type(saved)
        assert ours.config == type(saved)(theirs).config, name
        shapes = {key: tensor.shape for key, tensor in saved.state_dict().items()}
        assert shapes == {key: tensor.shape for key, tensor in ours.state_dict().items()}
    # a folder of both halves may be read as one of them
    config = json.loads((tmp_path / "CLIP" / "config.json").read_text())
    config["architectures"] = ["CLIPTextModel"]
    (tmp_path / "CLIP" / "config.json").write_text(json.dumps(config))
    half = build(tmp_path / "CLIP").module
    assert isinstance(half, t.CLIPTextModel)
    assert half.config.vocab_size == 11


def test_a_config_of_any_depth_is_gone_through(tmp_path):
    content = json.dumps(BERT)[:-1] + ', "x": ' + '{"x": ' * 900 + '{"auto_map": 1}' + "}" * 901
    (tmp_path / "config.json").write_text(content)
    check_refused(tmp_path, "auto_map")


def test_a_config_that_never_ends_or_is_too_large_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "config.json")
    check_refused(tmp_path, "it is a pipe or a device")
    (tmp_path / "config.json").unlink()
    monkeypatch.setattr(huggingface, "_LARGEST", 1 << 20)
    check_refused(write_config(tmp_path, text="x" * (1 << 20)), "more than 1 MiB")
