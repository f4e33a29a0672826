"""Recipes: short forms, facts and their places, what a recipe's hash depends on, and trust."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mdtree.exceptions import RecipeError
from mdtree.recipes import (
    KNOWN_PACKAGES,
    Digits,
    FactoryData,
    Images,
    ModelSpec,
    Recipe,
    Tensors,
    TorchvisionData,
    Transform,
    Trust,
    bind,
    fingerprint,
    read_recipe,
    recipe_from_words,
    words,
)
from mdtree.recipes.pattern import _number_or_text, facts_in


@pytest.fixture
def read(tmp_path):
    def from_text(text: str) -> Recipe:
        path = tmp_path / "mdtree.yaml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path)

    return from_text


def test_the_shortest_recipe_is_a_model_and_has_the_defaults(read):
    recipe = read("model: cnn")
    assert recipe == read("model: {factory: cnn, kwargs: {}}\ndata: digits\nloss: cross_entropy")
    assert (recipe.data, recipe.batch_size, recipe.groups) == (Digits(), 256, ())


def test_numbers_such_as_1e_3_are_numbers_everywhere(read):
    recipe = read(
        "model: {factory: cnn, kwargs: {rate: 1e-3, deep: [{rate: 2E4}]}}\n"
        "facts: {learning_rate: 1e-3}\n"
        "batch_size: 1e2\n"
        "data: {source: digits, label_noise: 1e-1, amount: 1e3}\n"
        "groups: [{name: a, files: [a.pt], facts: {weight_decay: 5e-4, tag: '1e-3'}}]\n"
    )
    assert recipe.model.kwargs == {"rate": 0.001, "deep": [{"rate": 20000.0}]}
    assert recipe.facts == {"learning_rate": 0.001}
    assert (recipe.batch_size, recipe.data.label_noise, recipe.data.amount) == (100, 0.1, 1000)
    assert recipe.groups[0].facts == {"weight_decay": 0.0005, "tag": "1e-3"}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("digits", Digits()),
        (
            "{source: torchvision, name: MNIST, root: d}",
            TorchvisionData(name="MNIST", root=Path("d")),
        ),
        ("{source: images, root: d, test: val}", Images(root=Path("d"), test="val")),
        ("{source: tensors, train: t.npz}", Tensors(train=Path("t.npz"))),
        ("my.data:make", FactoryData(source="my.data:make")),
        (
            "{source: 'my.data:make', kwargs: {n: 3}}",
            FactoryData(source="my.data:make", kwargs={"n": 3}),
        ),
    ],
)
def test_each_kind_of_data_is_known_by_its_source(read, text, data):
    assert read(f"model: cnn\ndata: {text}").data == data


def test_a_recipe_cannot_be_changed(read):
    with pytest.raises(ValueError, match="frozen"):
        read("model: cnn").batch_size = 1


def test_words_of_a_command_line_make_a_recipe():
    content = {"model": {"factory": "cnn", "kwargs": words(["width=8", "rate=1e-3"])}}
    assert recipe_from_words(content).model.kwargs == {"width": 8, "rate": 0.001}
    with pytest.raises(RecipeError, match=r"^the command line:\n  data\.amuont: unknown key, did"):
        recipe_from_words({"model": "cnn", "data": {"source": "digits", "amuont": 3}})


@pytest.mark.parametrize("pair", ["width", "=8", "a b=1", "1=2", "width=[1", "width=*x"])
def test_a_word_that_is_no_pair_is_refused(pair):
    with pytest.raises(RecipeError, match=r"expected key=value, got|^width="):
        words([pair])


def test_a_pattern_reads_facts_from_the_name_of_a_folder(read):
    recipe = read("model: cnn\npattern: bs_{batch_size}/lr{learning_rate}-{optimizer}")
    assert recipe.facts_in("bs_16/lr1e-3-sgd_2") == {
        "batch_size": 16,
        "learning_rate": 0.001,
        "optimizer": "sgd_2",
    }
    recipe = read("model: cnn\npattern: x{depth}w{width}{optimizer}.{label_noise}")
    assert recipe.facts_in("x7.5w16adam.0.25") == {
        "depth": 7.5,
        "width": 16,
        "optimizer": "adam",
        "label_noise": 0.25,
    }
    assert read("model: cnn").facts_in("anything") == {}


@pytest.mark.parametrize("name", ["nan", "inf", "-Infinity"])
def test_a_folder_called_like_no_number_is_text(read, name):
    assert read("model: cnn\npattern: run_{tag}").facts_in(f"run_{name}") == {"tag": name}


def test_signs_of_regular_expressions_in_a_pattern_stand_for_themselves(read):
    recipe = read("model: cnn\npattern: (a.b)+w{width}.x*")
    assert recipe.facts_in("(a.b)+w8.x*") == {"width": 8}
    for folder in ("(axb)+w8.x*", "(a.b)+w8.xx", "a.bw8.x*"):
        with pytest.raises(RecipeError, match="does not match the pattern"):
            recipe.facts_in(folder)


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (
            "w8/x",
            "folder 'w8/x' does not match the pattern 'w{width}': correct the pattern, or list",
        ),
        ("w", "does not match the pattern"),
        ("wide", "does not match the pattern"),
        ("w-3", "does not match the pattern"),
        ("w1e999", "fact 'width' must be a number of at least 0, got '1e999'"),
    ],
)
def test_a_folder_that_does_not_say_what_the_pattern_says_is_refused(read, folder, reason):
    with pytest.raises(RecipeError, match=reason):
        read("model: cnn\npattern: w{width}").facts_in(folder)


def test_facts_take_the_places_of_their_names():
    facts = {"width": 8, "noise": 0.25, "arch": "cnn", "amount": 100, "shift": 0.5}
    model = ModelSpec(factory="$arch", kwargs={"width": "$width", "rest": ["$noise", {"a": "$$"}]})
    assert bind(model, facts) == ModelSpec(
        factory="cnn", kwargs={"width": 8, "rest": [0.25, {"a": "$$"}]}
    )
    data = Digits(amount="$amount", label_noise="$noise", transform=Transform(mean=(0.5,)))
    assert bind(data, facts) == Digits(
        amount=100, label_noise=0.25, transform=Transform(mean=(0.5,))
    )


def test_a_part_without_facts_is_left_as_it_is():
    data = Digits(amount=10, transform=Transform(mean=(0.5, 0.1)))
    assert bind(data, {"width": 8}) is data


def test_a_fact_that_the_group_does_not_have_is_named():
    with pytest.raises(
        RecipeError, match=r"uses the fact 'width', but the group has only depth, x$"
    ):
        bind(ModelSpec(factory="cnn", kwargs={"width": "$width"}), {"depth": 3, "x": 1})
    with pytest.raises(RecipeError, match="uses the fact 'width', but the group has no facts"):
        bind(ModelSpec(factory="cnn", kwargs={"width": "$width"}), {})


@pytest.mark.parametrize(
    ("facts", "place"),
    [({"n": "lots", "x": 0}, "amount"), ({"n": 0, "x": 0}, "amount"), ({"n": 1, "x": 7}, "label_")],
)
def test_a_fact_that_does_not_fit_its_place_is_a_recipe_error(facts, place):
    with pytest.raises(RecipeError, match=f"with the facts of the group filled in, {place}"):
        bind(Digits(amount="$n", label_noise="$x"), facts)


SAME = [
    "model: {factory: cnn, kwargs: {width: 8, classes: 10}}\ndata: {source: digits, amount: 50}",
    """
# a comment
data:
  amount: 50 # items
  source: digits
model: {kwargs: {classes: 10, width: 8}, factory: cnn}
""",
    """
model: {factory: cnn, kwargs: {width: 8, classes: 10}}
data: {source: digits, amount: 50, seed: 0, label_noise: 0, transform: {}}
batch_size: 256
""",
]
OTHER = [
    SAME[0].replace("width: 8", "width: 9"),
    SAME[0].replace("width: 8", "width: '8'"),
    SAME[0].replace("width: 8", "width: true"),
    SAME[0].replace("width: 8", "width: [8]"),
    SAME[0].replace("50", "51"),
    SAME[0].replace("factory: cnn", "factory: mlp"),
    SAME[0].replace("amount: 50", "amount: 50, seed: 1"),
    SAME[0] + "\nloss: mse",
    SAME[0] + "\nbatch_size: 255",
    SAME[0] + "\nfacts: {width: 8}",
]


def test_comments_order_and_defaults_do_not_change_the_fingerprint(read):
    assert len({fingerprint(read(text)) for text in SAME}) == 1


def test_every_change_of_content_changes_the_fingerprint(read):
    assert len({fingerprint(read(text)) for text in [SAME[0], *OTHER]}) == 1 + len(OTHER)


def test_a_fingerprint_is_a_sha256_of_all_its_parts_in_order():
    one, two = ModelSpec(factory="cnn"), Digits()
    prints = [fingerprint(one, two), fingerprint(two, one), fingerprint(one), fingerprint(one, "x")]
    assert len(set(prints)) == 4
    assert all(len(bytes.fromhex(print_)) == 32 for print_ in prints)
    assert fingerprint(None) != fingerprint("None")


def test_a_recipe_survives_json(read):
    recipe = read(SAME[0].replace("10}", "10, limit: .inf}") + "\npattern: w{width}")
    assert recipe.model.kwargs["limit"] == math.inf
    assert Recipe.model_validate(json.loads(recipe.model_dump_json())) == recipe


def test_trust_admits_a_module_or_one_name_in_it_and_nothing_near():
    for name in ("pkg.mod", "pkg.mod:make", "pkg.mod.make"):
        trust = Trust(names=frozenset({name}))
        assert trust.admits("pkg.mod", "make")
        assert not trust.admits("pkg", "make")
        assert not trust.admits("pkg.mod.deeper", "make")
        assert not trust.admits("pkg.module", "make")
        assert trust.admits("pkg.mod", "other") == (name == "pkg.mod")
    assert not Trust().admits("mdtree.models", "cnn")
    assert Trust(any_factory=True).admits("os", "system")


def test_known_packages_are_rooms_inside_themselves():
    assert all(
        room.startswith(f"{name}.") for name, all_ in KNOWN_PACKAGES.items() for room in all_
    )


PIECES = st.sampled_from(["a", "1", "1e-3", ".", "_", "/", "lr", "{a}", "{b}", "{c}", "{width}"])


@settings(deadline=None, derandomize=True, database=None, max_examples=500)
@given(pattern=st.lists(PIECES, max_size=9).map("".join), folder=st.text("a1.e-_/lr", max_size=16))
def test_a_folder_is_read_as_a_regular_expression_would(pattern, folder):
    names = re.findall(r"\{(\w+)\}", pattern)
    assume(names and len(set(names)) == len(names))
    number = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
    rule = re.sub(
        r"\\\{(\w+)\\\}",
        lambda n: f"(?P<{n[1]}>{number if n[1] == 'width' else '[^/]+?'})",
        re.escape(pattern),
    )
    wanted = re.fullmatch(rule, folder)
    if wanted is None:
        with pytest.raises(RecipeError, match="does not match the pattern"):
            facts_in(folder, pattern)
        return
    values = {name: _number_or_text(text) for name, text in wanted.groupdict().items()}
    assert values == facts_in(folder, pattern)


def test_a_folder_that_could_be_shared_among_names_in_endless_ways_is_refused():
    """A regular expression would try 10**21 ways."""
    pattern = "_".join(f"{{a{number}}}" for number in range(20)) + "!"
    with pytest.raises(RecipeError, match="does not match the pattern"):
        facts_in("_" * 250, pattern)


def test_a_pattern_of_very_many_names_is_refused(read):
    pattern = "".join(f"{{a{number}}}" for number in range(101))
    with pytest.raises(RecipeError, match="must name at most 100 facts, got 101"):
        read(f"model: cnn\npattern: '{pattern}'\n")
