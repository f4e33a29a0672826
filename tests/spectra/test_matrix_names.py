"""What a tensor is, as its name and sizes tell it, or why it is left out."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from mdtree.checkpoints import LazyTensor, in_memory_tensors, list_tensors
from mdtree.runtime import torchvision as vision
from mdtree.spectra import find_matrices

PLAIN = "only float16, bfloat16, float32 and float64 are plain weights"
PART = "a part of a weight (its norm, its mask): remove the parametrization before saving"
ADAPTER = "half of an adapter (LoRA): merge it into the weights first"
VECTOR = "a vector (bias, norm, statistics)"
OTHER = "a bias, a mask or a scale, not weights"


def kinds_or_reasons(stored):
    """Say of each tensor, by its name, of what kind it is, or why it is left out."""
    matrices, left = find_matrices(stored)
    return {m.tensor.name: m.kind for m in matrices} | {x.name: x.reason for x in left}


def told_of(shapes):
    return kinds_or_reasons(
        in_memory_tensors({name: torch.randn(shape) for name, shape in shapes.items()})
    )


def test_tables_are_embeddings():
    names = ["embeds.0.weight", "wte.weight", "tok_emb.weight", "shared.weight", "embed.W_E"]
    names += ["embed_tokens.base_layer.weight", "bert/word_embeddings", "pos_embed", "rel_pos_h"]
    assert told_of(dict.fromkeys(names, (9, 4))) == dict.fromkeys(names, "embedding")
    assert told_of({"pos_embed": (1, 197, 384)}) == {"pos_embed": "embedding"}


def test_what_works_on_the_lines_of_a_table_is_none():
    names = [
        "embed_out.weight",
        "unembed.weight",
        "embed_proj.weight",
        "member.weight",
        "linear_pos.w",
    ]
    assert told_of(dict.fromkeys(names, (9, 4))) == dict.fromkeys(names, "linear")
    with_bias = {"time_embed.0.weight": (9, 4), "time_embed.0.bias": (9,)}
    assert told_of(with_bias) == {"time_embed.0.weight": "linear", "time_embed.0.bias": VECTOR}
    for shape, kind in {(9, 3, 4, 4): "conv2d", (9, 1, 4): "depthwise"}.items():
        assert told_of({"patch_embed.weight": shape}) == {"patch_embed.weight": kind}


def test_an_expert_of_its_own_is_like_any_layer():
    shapes = {"experts.0.conv.weight": (8, 4, 3), "expert.fc.weight": (4, 3), "experts/1/w": (4, 3)}
    assert told_of(shapes) == dict(zip(shapes, ["conv1d", "linear", "linear"], strict=True))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("w", (4, 300, 300)),
        ("fc.weight", (4, 300, 300)),
        ("w", (4, 5, 3)),
        ("bilinear.weight", (4, 5, 3)),
        ("dense/kernel", (3, 3, 4, 8)),  # of TensorFlow: (kernel, in, out)
        ("pos_embed", (1, 6, 3, 3)),
        ("conv.weight", (2, 2, 2, 2, 2, 2)),
    ],
)
def test_what_neither_name_nor_sizes_tell_is_not_guessed(name, shape):
    words = f"{len(shape)} axes {shape}: neither sizes nor name are those of a known layer"
    assert told_of({name: shape}) == {name: words}


def test_stacked_linear_layers_are_known_by_their_bias():
    weight = {"0.weight": (6, 5, 4)}
    assert told_of({**weight, "0.bias": (6,)})["0.weight"] == "conv1d"
    assert told_of({**weight, "0.bias": (6, 4)})["0.weight"].startswith("3 axes (6, 5, 4): ")


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: weight_norm(nn.Linear(3, 4)),
        lambda: weight_norm(nn.Conv2d(3, 4, 2)),
        lambda: spectral_norm(nn.Linear(3, 4)),
        lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 2)),
        lambda: parametrizations.spectral_norm(nn.Linear(3, 4)),
        lambda: parametrizations.orthogonal(nn.Linear(3, 4)),
        lambda: prune.l1_unstructured(nn.Linear(3, 4), "weight", amount=0.5),
    ],
)
def test_parts_of_weights_are_no_weights(make):
    assert {VECTOR, PART} == set(kinds_or_reasons(in_memory_tensors(make().state_dict())).values())


def test_a_name_that_only_looks_like_that_of_a_part_is_a_weight():
    names = ["weight_q", "weight_k", "weight_v", "weight_o", "weight_u"]  # no weight_g
    assert told_of(dict.fromkeys(names, (4, 3))) == dict.fromkeys(names, "linear")


def test_what_is_no_layer_is_left_out_with_its_reason():
    tensors = {
        **nn.BatchNorm2d(3).state_dict(prefix="bn."),
        "cls_token": torch.randn(1, 1, 8), "layer_scale": torch.randn(8, 1, 1),
        "grn.weight": torch.randn(1, 1, 1, 8), "mean": torch.randn(1, 8),
        "attn.bias": torch.ones(1, 1, 4, 4).tril(), "tril": torch.ones(4, 4).tril(),
        "experts.down_proj_bias": torch.randn(4, 3), "bias_table": torch.randn(9, 3),
        "weight_scale_inv": torch.randn(4, 3), "text.attn_mask": torch.randn(4, 3),
        "empty": torch.ones(0, 3), "empty.weight": torch.ones(3, 0, 2), "none": torch.ones(0),
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.ones(4, 3, device="meta"), "too": torch.ones(4, 3, device="meta"),
    }  # fmt: skip
    expected = {
        **dict.fromkeys(tensors, OTHER),
        **dict.fromkeys(["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], VECTOR),
        **dict.fromkeys(["cls_token", "layer_scale", "grn.weight", "mean"], VECTOR),
        "bn.num_batches_tracked": "a number",
        **dict.fromkeys(["empty", "empty.weight", "none"], "empty"),
        "sparse": "sparse",
        **dict.fromkeys(["meta", "too"], "on the meta device, without values"),
    }
    assert expected == kinds_or_reasons(in_memory_tensors(tensors))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # torch will lose it
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "int64", "bool", "complex64", "float8_e4m3fn", "qint8"]
)
def test_other_types_than_those_of_weights_are_named(dtype):
    w = torch.ones(4, 3)
    if dtype == "qint8":
        w = torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)
    (left,) = find_matrices(in_memory_tensors({"weight": w.to(getattr(torch, dtype))}))[1]
    assert left.dtype == dtype
    assert left.reason == f"{dtype}: {PLAIN}"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types_of_weights_are_taken(dtype):
    assert kinds_or_reasons(in_memory_tensors({"weight": torch.ones(4, 3, dtype=dtype)})) == {
        "weight": "linear"
    }


def test_a_file_of_adapters_alone_has_halves_only(tmp_path):
    names = ["q_proj.lora_A.default.weight", "q_proj.lora_B.weight", "lora_unet_q.lora_up.weight"]
    names += ["emb.lora_embedding_A.default", "to_q_lora.down.weight", "to_q.hada_w1_a"]
    names += ["to_q.lokr_w2", "attn.lora_a.weight"]
    save_file({name: torch.randn(4, 2) for name in names}, tmp_path / "adapter.safetensors")
    stored = list_tensors(tmp_path / "adapter.safetensors").tensors
    assert kinds_or_reasons(stored) == dict.fromkeys(names, ADAPTER)
    others = dict.fromkeys(["q_proj.base_layer.weight", "explore.weight"], (4, 3))
    assert told_of(others) == dict.fromkeys(others, "linear")


VISION = ["resnet18", "googlenet", "mobilenet_v3_small", "convnext_tiny", "vit_b_16", "swin_v2_t"]
VISION += ["maxvit_t", "video.r3d_18", "video.mvit_v2_s", "segmentation.lraspp_mobilenet_v3_large"]


def vision_network(name):
    room, _, function = name.rpartition(".")
    options = {"weights_backbone": None} if room == "segmentation" else {}
    options |= {"init_weights": False} if function == "googlenet" else {}
    module = vision.torchvision(f"torchvision.models.{room}".rstrip("."))
    return getattr(module, function)(**options)


LANGUAGE = ["albert", "bart", "bert", "clip", "convnextv2", "deberta-v2", "gpt2", "gpt_neox"]
LANGUAGE += ["mamba", "mixtral", "sam", "siglip", "t5", "wav2vec2", "whisper", "xlnet", "gpt_oss"]
DEPTHS = ["num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"]


def language_network(name):
    import transformers

    config = transformers.AutoConfig.for_model(name)
    for depth in DEPTHS:
        if isinstance(getattr(config, depth, None), int):
            setattr(config, depth, 2)
    return transformers.AutoModel.from_config(config)


KINDS = {
    "Embedding": {"embedding"},
    "Linear": {"linear", "attention"},
    "Conv1D": {"linear", "attention"},  # of GPT-2, a linear layer
    "Conv1d": {"conv1d", "depthwise"},
    "Conv2d": {"conv2d", "depthwise"},
    "Conv3d": {"conv3d", "depthwise"},
}


@pytest.mark.parametrize("make", [vision_network, language_network])
def test_the_layers_of_real_networks_are_known(make):
    for name in VISION if make is vision_network else LANGUAGE:
        with torch.device("meta"):  # no memory for the weights
            model = make(name)
        tensors = model.state_dict()
        answers = kinds_or_reasons(
            LazyTensor(name=key, sizes=tuple(tensor.shape), dtype=tensor.dtype, load=tensor.detach)
            for key, tensor in tensors.items()
        )
        assert tensors.keys() == answers.keys()
        known = {
            f"{path}.weight": KINDS[kind.__name__]
            for path, module in model.named_modules()
            for kind in type(module).__mro__
            if kind.__name__ in KINDS and f"{path}.weight" in tensors  # not if it is parametrized
        }
        assert len(known) >= 5
        assert {
            key: answers[key] for key, kinds in known.items() if answers[key] not in kinds
        } == {}
