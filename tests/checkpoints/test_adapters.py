"""Adapters: the merged weights are those of the formula, and what cannot be merged is refused."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from mdtree.checkpoints import (
    base_of,
    checkpoint_files,
    equal_files,
    equal_weights,
    file_digest,
    find_folders,
    list_base,
    list_tensors,
    read_adapter_config,
    trained_labels,
)
from mdtree.exceptions import MismatchError, UnreadableError, UnsafeError
from tests.support.adapters import halves, write_adapter


@pytest.fixture
def base(tmp_path):
    """A base with a linear layer of 5 x 3, one of 4 x 4, a table of 6 words, and biases."""
    torch.manual_seed(1)
    weights = {
        "body.up.weight": torch.randn(5, 3),
        "body.up.bias": torch.randn(5),
        "body.square.weight": torch.randn(4, 4),
        "body.words.weight": torch.randn(6, 3),
        "head.weight": torch.randn(2, 4),
    }
    path = tmp_path / "base" / "model.safetensors"
    path.parent.mkdir()
    (path.parent / "config.json").write_text("{}")
    save_file(weights, path)
    return path


def merged(path, base):
    return {stored.name: stored.load() for stored in list_tensors(path, base=base).tensors}


def stored(base):
    return {each.name: each.load() for each in list_tensors(base).tensors}


def added(path, base, name):
    """What the adapter adds to a weight."""
    return merged(path, base)[name] - stored(base)[name]


def close(some, others):
    torch.testing.assert_close(some, others, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 4 / 2),
        ({"use_rslora": True}, 4 / math.sqrt(2)),
        ({"alpha_pattern": {"up": 10}}, 10 / 2),
        ({"alpha_pattern": {"body.u.": 10, "up": 20}}, 10 / 2),
        ({"alpha_pattern": {"square": 10, "p": 3}}, 4 / 2),
        ({"r": 7, "rank_pattern": {"up": 2}}, 4 / 2),
    ],
)
def test_a_product_of_the_halves_is_added_at_its_scale(tmp_path, base, config, scale):
    tensors = halves("body.up", 5, 2, 3)
    path = write_adapter(tmp_path / "lora", tensors, **config)
    product = tensors["body.up.lora_B.weight"] @ tensors["body.up.lora_A.weight"]
    close(added(path, base, "body.up.weight"), scale * product)
    for name, tensor in stored(base).items():
        if name != "body.up.weight":
            assert torch.equal(merged(path, base)[name], tensor)


def test_layers_that_store_the_inputs_first_get_the_transpose(tmp_path, base):
    tensors = halves("body.up", 3, 2, 5)
    path = write_adapter(tmp_path / "lora", tensors, fan_in_fan_out=True)
    product = tensors["body.up.lora_B.weight"] @ tensors["body.up.lora_A.weight"]
    close(added(path, base, "body.up.weight"), 2 * product.T)


@pytest.mark.parametrize("flag", [True, False])
def test_the_config_tells_how_a_square_layer_is_stored(tmp_path, base, flag):
    tensors = halves("body.square", 4, 2, 4)
    path = write_adapter(tmp_path / "lora", tensors, fan_in_fan_out=flag)
    product = tensors["body.square.lora_B.weight"] @ tensors["body.square.lora_A.weight"]
    close(added(path, base, "body.square.weight"), 2 * (product.T if flag else product))


def test_where_layers_differ_those_of_the_same_name_tell_it(tmp_path):
    base = tmp_path / "base.safetensors"
    save_file(
        {
            "attn.proj.weight": torch.zeros(4, 4),
            "mlp.proj.weight": torch.zeros(8, 4),
            "lm_head.weight": torch.zeros(9, 4),
        },
        base,
    )
    tensors = {
        **halves("attn.proj", 4, 2, 4, seed=1),
        **halves("mlp.proj", 4, 2, 8, seed=2),
        **halves("lm_head", 9, 2, 4, seed=3),
    }
    path = write_adapter(tmp_path / "lora", tensors, fan_in_fan_out=False)
    product = tensors["attn.proj.lora_B.weight"] @ tensors["attn.proj.lora_A.weight"]
    close(merged(path, base)["attn.proj.weight"], 2 * product.T)

    del tensors["mlp.proj.lora_A.weight"], tensors["mlp.proj.lora_B.weight"]
    path = write_adapter(tmp_path / "other", tensors, fan_in_fan_out=True)
    with pytest.raises(UnreadableError, match=r"attn.proj.weight is square.*merge_and_unload"):
        merged(path, base)


def test_an_embedding_has_a_row_for_each_word(tmp_path, base):
    tensors = {
        "body.words.lora_embedding_A": torch.randn(2, 6),
        "body.words.lora_embedding_B": torch.randn(3, 2),
    }
    path = write_adapter(tmp_path / "lora", tensors)
    down, up = tensors.values()
    close(added(path, base, "body.words.weight"), 2 * (up @ down).T)


def test_a_convolution_is_one_kernel_after_another(tmp_path):
    torch.manual_seed(0)
    whole = torch.nn.Conv2d(3, 5, 3, bias=False)
    down, up = torch.nn.Conv2d(3, 2, 3, bias=False), torch.nn.Conv2d(2, 5, 1, bias=False)
    base = tmp_path / "base.safetensors"
    save_file({"conv.weight": whole.weight.detach()}, base)
    tensors = {
        "conv.lora_A.weight": down.weight.detach(),
        "conv.lora_B.weight": up.weight.detach(),
    }
    weight = merged(write_adapter(tmp_path / "lora", tensors), base)["conv.weight"]
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        close(torch.nn.functional.conv2d(x, weight), whole(x) + 2 * up(down(x)))


def test_what_was_trained_as_a_whole_stands_instead(tmp_path, base):
    tensors = {
        **halves("body.up", 5, 2, 3),
        "body.up.base_layer.bias": torch.full((5,), 7.0),
        "head.weight": torch.ones(3, 4),
        "head.bias": torch.ones(3),
    }
    path = write_adapter(
        tmp_path / "lora", tensors, bias="all", modules_to_save=["head"], task_type="SEQ_CLS"
    )
    weights = merged(path, base)
    assert torch.equal(weights["body.up.bias"], torch.full((5,), 7.0))
    assert torch.equal(weights["head.weight"], torch.ones(3, 4))
    assert "head.bias" in weights
    assert trained_labels(path) == 3


def test_only_what_was_trained_as_a_whole_may_have_other_sizes(tmp_path, base):
    """A module is named by one word of its name, or by several."""
    tensors = {**halves("body.up", 5, 2, 3), "body.square.weight": torch.ones(3, 4)}
    for named in ("square", "body.square", "body"):
        path = write_adapter(tmp_path / named, tensors, modules_to_save=["x", named])
        assert torch.equal(merged(path, base)["body.square.weight"], torch.ones(3, 4))
    for named in ("body.x", "quare", "body.squar", "ody.square"):
        path = write_adapter(tmp_path / named, tensors, modules_to_save=[named])
        with pytest.raises(MismatchError, match=r"body.square.weight is \(4, 4\) in the base"):
            merged(path, base)


def test_many_modules_and_many_tensors_are_compared_once(tmp_path):
    """Each name with each module would be 40 million comparisons."""
    names = [f"m{number}.weight" for number in range(10_000)]
    base = tmp_path / "base.safetensors"
    save_file({"up.weight": torch.zeros(5, 3), **{n: torch.zeros(2) for n in names}}, base)
    modules = [f"x{number}" for number in range(4096)]
    tensors = {**halves("up", 5, 2, 3), **{n: torch.zeros(1) for n in names}}
    path = write_adapter(tmp_path / "lora", tensors, modules_to_save=modules)
    with pytest.raises(MismatchError, match="10000 of 10001 tensors do not fit"):
        list_tensors(path, base=base)


def test_a_config_may_begin_with_a_byte_order_mark(tmp_path):
    path = write_adapter(tmp_path / "lora", {})
    config = path.with_name("adapter_config.json")
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert read_adapter_config(path).rank == 2


@pytest.mark.parametrize(("before", "after"), [("", "model."), ("model.", "")])
def test_a_base_without_the_head_of_the_adapter_has_shorter_names(tmp_path, before, after):
    base = tmp_path / "base.safetensors"
    save_file(
        {f"{before}h.0.fc.weight": torch.zeros(5, 3), f"{before}norm.weight": torch.ones(3)}, base
    )
    path = write_adapter(tmp_path / "lora", halves(f"{after}h.0.fc", 5, 2, 3))
    names = {f"{after}h.0.fc.weight", f"{after}norm.weight"}
    assert merged(path, base).keys() == names
    assert {each.name for each in list_base(path, base).tensors} == names


def test_a_base_in_half_precision_is_not_rounded_again(tmp_path):
    base = tmp_path / "base.safetensors"
    save_file({"fc.weight": torch.ones(5, 3, dtype=torch.bfloat16)}, base)
    tensors = {name: t / 1000 for name, t in halves("fc", 5, 2, 3).items()}
    path = write_adapter(tmp_path / "lora", tensors)
    (weight,) = list_tensors(path, base=base).tensors
    assert weight.dtype == weight.load().dtype == torch.float32
    product = tensors["fc.lora_B.weight"] @ tensors["fc.lora_A.weight"]
    close(weight.load() - 1, 2 * product)


def test_an_adapter_that_torch_saved_is_read_alike(tmp_path, base):
    path = write_adapter(tmp_path / "lora", halves("body.up", 5, 2, 3))
    expected = merged(path, base)
    other = path.with_name("adapter_model.bin")
    torch.save({each: t.clone() for each, t in load_file(path).items()}, other)
    path.unlink()
    assert checkpoint_files(other.parent) == [other]
    for name, tensor in merged(other, base).items():
        assert torch.equal(tensor, expected[name])


def test_numbers_of_other_layers_are_read_only_when_they_are_needed(tmp_path, base):
    path = write_adapter(tmp_path / "lora", halves("body.up", 5, 2, 3))
    tensors = list_tensors(path, base=base).tensors
    assert [t.sizes for t in tensors] == [t.sizes for t in list_tensors(base).tensors]


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        (halves("body.down", 5, 2, 3), "the base has no body.down.weight"),
        (halves("body.up", 6, 2, 3), r"body.up.weight is \(5, 3\) in the base and \(6, 3\) here"),
        ({"body.up.bias": torch.ones(4)}, r"body.up.bias is \(5,\) in the base"),
    ],
)
def test_an_adapter_of_another_base_is_an_error(tmp_path, base, tensors, says):
    path = write_adapter(tmp_path / "lora", tensors)
    with pytest.raises(MismatchError, match=f"is an adapter for another base.*{says}"):
        merged(path, base)


@pytest.mark.parametrize(
    ("tensors", "config", "says"),
    [
        ({}, {"peft_type": "IA3"}, "describes 'IA3', but only LORA is read: merge it yourself"),
        ({}, {"peft_type": "PROMPT_TUNING"}, "only LORA is read"),
        ({}, {"use_dora": True}, "sets 'use_dora', which is not read: merge it"),
        ({}, {"target_parameters": ["x"]}, "sets 'target_parameters'"),
        ({}, {"of_tomorrow": 1}, "sets 'of_tomorrow'"),
        ({}, {"init_lora_weights": "pissa"}, "which changes the base: merge it"),
        ({"body.up.lora_magnitude_vector": torch.ones(5)}, {}, "lora_magnitude_vector, which is"),
        ({"body.up.lora_B.bias": torch.ones(5)}, {}, "lora_B.bias, which is not read"),
        ({"body.words.token_adapter.trainable_tokens_delta": torch.ones(5)}, {}, "is not read"),
        ({"body.up.lora_A.weight": torch.ones(2, 3)}, {}, "only one half of the update"),
        (halves("body.up", 5, 3, 3), {}, "has rank 3 in body.up, but its config says 2"),
        (
            {"body.up.lora_A.weight": torch.ones(2, 3), "body.up.lora_B.weight": torch.ones(5, 1)},
            {},
            "cannot be multiplied: was the adapter saved from a part",
        ),
        (
            {"body.up.lora_A.weight": torch.ones(6), "body.up.lora_B.weight": torch.ones(10)},
            {},
            "cannot be multiplied",
        ),
        ({name: t.int() for name, t in halves("body.up", 5, 2, 3).items()}, {}, "is not read"),
    ],
)
def test_what_cannot_be_merged_is_refused_with_what_to_do(tmp_path, base, tensors, config, says):
    path = write_adapter(tmp_path / "lora", {**tensors, "head.weight": torch.ones(2, 4)}, **config)
    with pytest.raises(UnreadableError, match=says):
        merged(path, base)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "must hold a JSON object, got a list"),
        (b"{}", "describes None"),
        (b'{"peft_type": ["LORA"]}', "describes"),
        (b'{"peft_type": "LORA", "r": 0}', "r must be a positive whole number, got 0"),
        (b'{"peft_type": "LORA", "r": true}', "r must be"),
        (b'{"peft_type": "LORA", "r": 1e3}', "r must be"),
        (b'{"peft_type": "LORA", "lora_alpha": 1e999}', "lora_alpha must be a number, got inf"),
        (b'{"peft_type": "LORA", "lora_alpha": NaN}', "lora_alpha must be a number"),
        (b'{"peft_type": "LORA", "lora_alpha": ' + b"9" * 4000 + b"}", "lora_alpha must be"),
        (b'{"peft_type": "LORA", "lora_alpha": ' + b"9" * 9000 + b"}", "is not JSON"),
        (b'{"peft_type": "LORA", "use_rslora": "yes"}', "use_rslora must be true or false"),
        (b'{"peft_type": "LORA", "alpha_pattern": [1]}', "alpha_pattern must be an object"),
        (b'{"peft_type": "LORA", "alpha_pattern": {"(a+)+b": 1}}', "is not a plain name"),
        (b'{"peft_type": "LORA", "alpha_pattern": {".*.*.*b": 1}}', "is not a plain name"),
        (
            b'{"peft_type": "LORA", "alpha_pattern": {"' + b"(a|aa)" * 30 + b'b": 1}}',
            "is not a plain name",
        ),
        (b'{"peft_type": "LORA", "alpha_pattern": {"(": 1}}', "is not a plain name"),
        (
            b'{"peft_type": "LORA", "alpha_pattern": {"a{99999999999999999999}": 2}}',
            "is not a plain name",
        ),
        (b'{"peft_type": "LORA", "alpha_pattern": {"a": "b"}}', "must be a number, got 'b'"),
        (b'{"peft_type": "LORA", "modules_to_save": [1]}', "must list names of modules"),
        (
            b'{"peft_type": "LORA", "modules_to_save": ["' + b"a" * 201 + b'"]}',
            "at most 4096, of 200 characters",
        ),
        (b'{"peft_type": "LORA", "init_lora_weights": [[]]}', "which changes the base"),
        (b" " * (1 << 24) + b"{}", "is too large: more than 16 MiB"),
    ],
)
def test_a_hostile_config_is_a_clear_error(tmp_path, base, content, says):
    path = write_adapter(tmp_path / "lora", halves("body.up", 5, 2, 3))
    path.with_name("adapter_config.json").write_bytes(content)
    with pytest.raises(UnreadableError, match=says):
        merged(path, base)


def test_many_patterns_for_many_layers_are_refused_before_they_are_matched(tmp_path):
    path = write_adapter(tmp_path / "lora", {}, alpha_pattern={f".*{n}.*x": 1 for n in range(4000)})
    config = read_adapter_config(path)
    with pytest.raises(UnreadableError, match="too many names"):
        config.check_effort(["a" * 1000], path)


def test_the_base_is_the_folder_that_the_config_names(tmp_path, base, monkeypatch):
    path = write_adapter(tmp_path / "lora", {}, base_model_name_or_path="base")
    with pytest.raises(UnreadableError, match="changes the model 'base', which is not here"):
        base_of(path)
    monkeypatch.chdir(tmp_path)
    assert base_of(path).resolve() == base
    monkeypatch.chdir("/")
    write_adapter(tmp_path / "lora", {}, base_model_name_or_path="../base")
    assert base_of(path).resolve() == base


@pytest.mark.parametrize(
    "name", [None, "", 3, "no/such", "\0", "x" * 5000, "//server/x", "\\\\s\\x"]
)
def test_a_base_that_is_nowhere_is_asked_for(tmp_path, name):
    path = write_adapter(tmp_path / "lora", {}, base_model_name_or_path=name)
    with pytest.raises(UnreadableError, match=r"--model-arg base=FOLDER"):
        base_of(path)


def test_a_base_that_the_user_names_wins(tmp_path, base):
    path = write_adapter(tmp_path / "lora", {}, base_model_name_or_path="no/such")
    assert base_of(path, named=base.parent, within=path.parent) == base
    with pytest.raises(UnreadableError, match="does not exist"):
        base_of(path, named=tmp_path / "nothing")
    with pytest.raises(UnreadableError, match="but it holds an adapter"):
        base_of(path, named=path.parent)
    with pytest.raises(UnreadableError, match="but it holds 0 weights files"):
        base_of(path, named=tmp_path)


def test_a_config_of_a_stranger_does_not_reach_outside_of_its_directory(tmp_path, base):
    path = write_adapter(tmp_path / "run" / "lora", {}, base_model_name_or_path=str(base.parent))
    assert base_of(path, within=tmp_path) == base
    with pytest.raises(UnsafeError, match=r"is outside .* name it yourself"):
        base_of(path, within=tmp_path / "run")


def test_an_adapter_alone_is_told_what_to_give(tmp_path):
    path = write_adapter(tmp_path / "lora", halves("fc", 5, 2, 3))
    with pytest.raises(UnreadableError, match=r"changes another model.*--against BASE"):
        list_tensors(path)


def test_a_folder_of_an_adapter_is_one_checkpoint(tmp_path, base):
    path = write_adapter(tmp_path / "runs" / "lora" / "seed-0", halves("fc", 5, 2, 3))
    other = write_adapter(tmp_path / "runs" / "lora" / "seed-1", halves("fc", 5, 2, 3))
    (path.parent / "optimizer.bin").write_bytes(b"x")
    assert checkpoint_files(path.parent) == [path]
    (folder,) = find_folders(tmp_path / "runs")
    assert (folder.name, folder.files) == ("lora", (path, other))
    # a whole model beside an adapter is a whole model, as before
    save_file({"fc.weight": torch.ones(5, 3)}, path.with_name("model.safetensors"))
    (path.parent / "config.json").write_text("{}")
    assert checkpoint_files(path.parent) == [path.with_name("model.safetensors")]


def test_adapters_that_differ_only_in_their_config_are_not_equal(tmp_path):
    tensors = halves("fc", 5, 2, 3)
    one, same, other = (
        write_adapter(tmp_path / name, tensors, lora_alpha=alpha)
        for name, alpha in (("one", 4), ("same", 4), ("other", 8))
    )
    assert file_digest(one) == file_digest(same) != file_digest(other)
    assert equal_files({"one": one, "same": same, "other": other}) == {"same": "one"}
    assert equal_weights(one, same)
    assert not equal_weights(one, other)


def test_numbers_of_a_config_may_be_written_in_any_way_that_json_has(tmp_path):
    path = write_adapter(tmp_path / "lora", {}, lora_alpha=2.5, modules_to_save="head")
    config = read_adapter_config(path)
    assert config.alpha == 2.5
    assert config.replaced == {"head"}
    assert json.loads(path.with_name("adapter_config.json").read_text())["r"] == config.rank
