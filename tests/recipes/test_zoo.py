"""The config of a zoo: what its grid becomes, and what is refused before anything is trained."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mdtree.exceptions import RecipeError
from mdtree.recipes import Digits, ModelSpec, Zoo, read_zoo

BASE = {
    "model": {"factory": "cnn", "kwargs": {"width": "$width"}},
    "data": {"source": "digits", "amount": 100},
    "training": {"learning_rate": 0.05, "batch_size": 32, "epochs": 2},
    "grid": {"width": [2, 4]},
}


def zoo(**parts):
    return Zoo.model_validate({**BASE, **parts})


def on(grid, **parts):
    """Make a zoo that asks for every axis of a grid."""
    return zoo(
        model={"factory": "cnn", "kwargs": {axis: f"${axis}" for axis in grid}}, grid=grid, **parts
    )


@pytest.fixture
def faults(tmp_path):
    """Read a config and give the lines of its error."""

    def of(text: str) -> list[str]:
        path = tmp_path / "zoo.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecipeError) as error:
            read_zoo(path)
        head, *rest = str(error.value).splitlines()
        assert head.startswith(f"{path}")
        return [head.removeprefix(f"{path}"), *(line.strip() for line in rest)]

    return of


def test_the_points_of_a_grid_are_its_product_the_last_axis_changing_fastest():
    made = on({"a": [1, 2], "b": ["x"], "c": [0.5, 3]})
    points = [(1, "x", 0.5), (1, "x", 3), (2, "x", 0.5), (2, "x", 3)]
    assert points == [tuple(point.values()) for point in made.points()]
    assert [made.group(point) for point in made.points()][:2] == ["a-1_b-x_c-0.5", "a-1_b-x_c-3"]
    assert on({"a": [1, 2]}, name="deep/{a}-er").group({"a": 2}) == "deep/2-er"


def test_one_point_is_a_grid():
    assert list(on({"width": [4], "rate": [1e-5]}).points()) == [{"width": 4, "rate": 1e-5}]


HARD = [1e-05, 1.5e300, 0.1 + 0.2, 1e22, 3, 0, 2**53 + 1]


@pytest.mark.parametrize("axis", ["learning_rate", "shape"])
def test_numbers_are_read_back_from_the_names_of_folders_by_the_recipe_for_measuring(axis):
    made = on({axis: HARD, "optimizer": ["sgd", "adam_w", "a.b+c"], "shift": [-3, -0.5]})
    for point in made.points():
        read = made.recipe().facts_in(made.group(point))
        assert (point, [*map(type, point.values())]) == (read, [type(read[name]) for name in point])


VALUES = st.floats(0, 9) | st.integers(-1, 99) | st.text("019e.+_abA/$", min_size=1, max_size=4)
GRIDS = st.dictionaries(
    st.sampled_from(["width", "learning_rate", "depth", "a", "b"]),
    st.lists(VALUES, min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)
BETWEEN = st.sampled_from(["", "_", "x", "/", ".", "1", "-", "e", "{}", "\0"])


@st.composite
def named_grids(draw):
    grid = draw(GRIDS)
    parts = [f"{{{axis}}}{draw(BETWEEN)}" for axis in draw(st.permutations(list(grid)))]
    return grid, draw(st.none() | st.just(draw(BETWEEN) + "".join(parts)))


@settings(deadline=None, max_examples=300)
@given(named_grids())
def test_a_grid_is_refused_or_every_group_has_a_folder_that_tells_its_facts(drawn):
    grid, name = drawn
    try:
        made = on(grid, name=name)
    except ValidationError:
        return
    names = [made.group(point) for point in made.points()]
    assert list(made.points()) == [made.recipe().facts_in(name) for name in names]
    assert len({name.lower() for name in names}) == len(names)
    assert not any(part in ("", ".", "..") for name in names for part in name.split("/"))


CONFIG = """\
model: {factory: cnn, kwargs: {width: $width}}
data: {source: digits, amount: 100}
training:
  learning_rate: 0.05
  batch_size: 32
  epochs: 2
"""


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        ("grid: {}", "line 7, grid: must not be empty"),
        ("grid: {width: 2}", "line 7, grid.width: must be a list, got 2"),
        ("grid: {width: []}", "line 7, grid.width: axis 'width' has no values"),
        ("grid: {width: [2, 2.0]}", "line 7, grid.width: axis 'width' repeats a value"),
        (
            "grid:\n  widht: [2, 4]",
            "line 8, grid.widht.0: fact 'widht' is unknown, did you mean 'width'?",
        ),
        (
            "grid:\n  width: [2]\n  batch_size: [8]",
            "line 9, grid.batch_size: nothing uses $batch_size: write it where it belongs, as",
        ),
        (
            "grid: {depth: [2]}\nfacts: {width: 3}",
            "line 7, grid.depth: nothing uses $depth: write it where it belongs",
        ),
        ("grid: {2: [1]}", "line 7, grid.2: must be text"),
        (
            "grid: {wide net: [1]}",
            "an axis must be a name such as width or learning_rate, got 'wide",
        ),
        ("grid: {width: [.nan]}", "grid.width.0: must be a finite number or text, got nan"),
        ("grid: {width: [.inf]}", "grid.width.0: must be a finite number or text, got inf"),
        ("grid: {width: [on]}", "grid.width.0: must be a finite number or text, got True"),
        ("grid: {width: [[2]]}", "grid.width.0: must be a finite number or text, got [2]"),
        ("grid:\n  width:\n  - 2\n  - -3", "line 10, grid.width.1: fact 'width' must be a number"),
        ("grid: {width: [wide]}", "grid.width.0: fact 'width' must be a number of at least 0, got"),
        ("grid: {width: [2]}\nseeds: 0", "line 8, seeds: Input should be greater than or equal"),
        (
            "grid: {width: [2]}\nfacts: {width: 2}",
            "line 8, facts.width: 'width' is also an axis of the",
        ),
        (
            "grid: {width: [2]}\nfacts: {a: $b}",
            "line 8, facts.a: a fact cannot refer to another one",
        ),
        (
            "grid: {width: [2]}\nname: x{depth}",
            "line 8, name: name 'x{depth}' must contain the axes",
        ),
        ("grid: {width: [2]}\nname: x", "line 8, name: must name each fact once"),
        ("grid: {width: [2]}\nname: '../{width}'", "makes '../2', which is hidden or outside"),
        ("grid: {width: [2]}\nname: '/{width}'", "makes '/2', which is hidden or outside"),
        (
            "grid: {width: [2]}\nname: a\\{width}",
            "which is not a valid folder name on every system",
        ),
        ("grid: {width: [2]}\nseeds: 100001", "gives 100,001 members, at most 100,000 are allowed"),
        ("grid: {width: [2]}\nepochs: 3", "line 8, epochs: unknown key"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_the_way_out(faults, rest, fault):
    head, *mistakes = faults(CONFIG + rest)
    assert head == ":"
    assert len(mistakes) == 1
    assert fault in mistakes[0]


@pytest.mark.parametrize(
    ("training", "fault"),
    [
        (
            "optimizer: adam",
            "line 7, training.optimizer: must be sgd, adamw, or a fact such as $op",
        ),
        ("schedule: cos", "line 7, training.schedule: must be constant, cosine, steps, or a fact"),
        ("augmentation: flip", "training.augmentation: must be none, shift, shift_flip, or a fact"),
        ("warmup: 2", "training.warmup: must be a share from 0 to 1, or a fact such as $noise"),
        ("learning_rat: 1", "training.learning_rat: unknown key, did you mean 'learning_rate'?"),
        ("steps: $steps", "line 7, training.steps: $steps is neither an axis of the grid nor a f"),
        ("weight_decay: $widht", "$widht is neither an axis of the grid nor a fact, did you mean"),
    ],
)
def test_mistakes_in_the_training_are_told_too(faults, training, fault):
    _, mistake = faults(f"{CONFIG}  {training}\ngrid: {{width: [2]}}")
    assert fault in mistake


def test_a_training_that_has_no_end_is_refused(faults):
    _, mistake = faults(CONFIG.replace("epochs: 2", "") + "grid: {width: [2]}")
    assert mistake == "line 3, training: epochs or steps must be set"


def test_every_value_of_every_axis_is_tried_where_it_belongs(faults):
    text = CONFIG + "  optimizer: $opt\n  warmup: $warm\ngrid:\n  width: [2]\n"
    _, first, second = faults(text + "  opt: [sgd, adamw, adam]\n  warm:\n  - 0\n  - 7\n")
    assert first.startswith("line 11, grid.opt.2: ")
    assert "optimizer: must be sgd, adamw, or a fact such as $optimizer, got 'adam'" in first
    assert second.startswith("line 14, grid.warm.1: ")
    _, only = faults(text + "  opt: [adam]\n  warm: [0, 0.1]\n")
    assert only.startswith("line 9, grid: ")
    assert "got 'adam'" in only


def test_all_mistakes_are_told_at_once(faults):
    text = CONFIG.replace("0.05", "$rate").replace("$width", "$breadth")
    head, *mistakes = faults(text + "grid:\n  deep: [2]\n  raet: [3]\nfacts: {b: $c, raet: 1}")
    assert head == ": 6 things are wrong:"
    assert [line.partition(":")[0] for line in mistakes] == [
        "line 8, grid.deep",
        "line 9, grid.raet",
        "line 10, facts.raet",
        "line 1, model.kwargs.width",
        "line 4, training.learning_rate",
        "line 10, facts.b",
    ]
    assert "did you mean 'raet'?" in mistakes[4]


def test_of_very_many_mistakes_the_first_are_told(faults):
    """Comparing each of 1,000 names with each of 1,000 others would take minutes."""
    asked = ", ".join(f"a{number}: $colour_of_light_{number}" for number in range(1_000))
    axes = "".join(f"  color_of_light_{number}: [1]\n" for number in range(1_000))
    head, *mistakes = faults(CONFIG.replace("width: $width", asked) + f"grid:\n{axes}")
    assert head == ": more than 20 things are wrong; the first are:"
    assert len(mistakes) == 20
    assert [line for line in mistakes if "did you mean 'colour_of_light_" not in line] == []


@pytest.mark.parametrize(
    ("grid", "fault"),
    [
        ({"a": [1, 11], "b": [11, 1]}, "makes '1111' of .* which is read back as"),
        ({"a": ["1e3"], "b": [2]}, "'1e32' of .* is read back as"),
        ({"a": ["x", "X"], "b": [2]}, "does not distinguish the groups: .*'x'.* and .*'X'.* are"),
        ({"a": [".x"], "b": [2]}, "makes '.x2', which is hidden"),
    ],
)
def test_names_that_do_not_tell_the_groups_apart_are_refused(grid, fault):
    with pytest.raises(ValidationError, match=fault):
        on(grid, name="{a}{b}")


@pytest.mark.parametrize(
    ("text", "line"),
    [("model: [cnn\n", 2), ("model: cnn\nmodel: mlp\n", 2), ("a: 1\n\tb: 2\n", 2)],
)
def test_yaml_that_is_none_is_told_with_its_line(faults, text, line):
    assert f", line {line}: " in faults(text)[0]


def test_the_recipe_measures_what_was_trained():
    recipe = zoo(loss="mse", batch_size=7, facts={"epochs": 2}).recipe()
    assert recipe.model == ModelSpec(factory="cnn", kwargs={"width": "$width"})
    assert (recipe.data, recipe.loss.factory) == (Digits(amount=100), "mse")
    words = {"optimizer": "sgd", "schedule": "constant"}
    assert (recipe.batch_size, recipe.facts) == (7, {**words, "epochs": 2})
    assert recipe.training.learning_rate == 0.05


@pytest.mark.parametrize("optimizer", ["adamw", "$optimizer"])
def test_only_what_sgd_trained_is_continued_by_sgd(optimizer):
    training = {**BASE["training"], "optimizer": optimizer}
    grid = BASE["grid"] | ({"optimizer": ["sgd"]} if optimizer == "$optimizer" else {})
    recipe = zoo(training=training, grid=grid).recipe()
    assert recipe.training is None
    assert recipe.facts.get("optimizer") == (None if optimizer == "$optimizer" else optimizer)


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({}, []),
        ({"grid": {"width": [2.0, 4]}}, ["grid.width: [2, 4], now [2.0, 4]"]),
        (
            {"training": {**BASE["training"], "epochs": 3, "optimizer": "adamw"}},
            ["training.epochs: 2, now 3", 'training.optimizer: "sgd", now "adamw"'],
        ),
        ({"seeds": 3}, ["seeds: 2, now 3"]),
        ({"facts": {"tag": "1"}}, ["facts: {}, now not set", 'facts.tag: not set, now "1"']),
        ({"training": {"epochs": 2, "batch_size": 32, "learning_rate": 5e-2}}, []),
    ],
)  # fmt: skip
def test_configs_differ_key_by_key(change, lines):
    assert zoo().differences(zoo(**change)) == lines


def test_values_that_only_look_alike_differ():
    values = [1, 1.0, "1", True, None, [1], float("nan")]
    zoos = [zoo(model={"factory": "cnn", "kwargs": {"width": "$width", "x": x}}) for x in values]
    for number, config in enumerate(zoos):
        assert [len(config.differences(other)) for other in zoos] == [
            int(other != number) for other in range(len(zoos))
        ]


def test_a_zoo_survives_json_and_yaml(tmp_path):
    made = on(
        {"width": [2], "rate": [1e-5, 0.5], "kind": ["a", "b.c"]}, name="{width}/{rate}/{kind}"
    )
    assert Zoo.model_validate(json.loads(made.model_dump_json())) == made
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(json.loads(made.model_dump_json())))
    assert read_zoo(tmp_path / "zoo.yaml") == made
