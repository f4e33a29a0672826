"""Reading a recipe: everything that is wrong is said at once, each with its line and place."""

from __future__ import annotations

import pytest

from mdtree.exceptions import RecipeError
from mdtree.recipes import read_recipe


@pytest.fixture
def faults(tmp_path):
    """Read a recipe and give the lines of its error."""

    def of(text: str) -> list[str]:
        path = tmp_path / "mdtree.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecipeError) as error:
            read_recipe(path)
        head, *rest = str(error.value).splitlines()
        assert head.startswith(f"{path}:")
        return [head.removeprefix(f"{path}:").strip(), *(line.strip() for line in rest)]

    return of


MANY = """\
model:
  factory: cnn
  kwarg: {}
data:
  source: digits
  amuont: 10
  label_noise: 2
  transform: {sizes: 3, std: [0]}
batch_size: 0
facts: {widht: 8, width: wide}
groups:
  - name: a
    files: a.pt
  - nam: b
    files: []
    facts: {depth: .nan}
colour: red
"""


def test_all_faults_are_collected_with_line_and_place(faults):
    head, *rest = faults(MANY)
    assert head == f"{len(rest)} things are wrong:"
    assert [line.partition(":")[0] for line in rest] == [
        "line 3, model.kwarg",
        "line 7, data.label_noise",
        "line 8, data.transform.std.0",
        "line 8, data.transform.sizes",
        "line 6, data.amuont",
        "line 9, batch_size",
        "line 10, facts",
        "line 13, groups.0.files",
        "line 14, groups.1.name",
        "line 15, groups.1.files",
        "line 16, groups.1.facts.depth",
        "line 14, groups.1.nam",
        "line 17, colour",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "model: cnn\nfacts: {widht: 8}",
            "line 2, facts: fact 'widht' is unknown, did you mean 'width'?",
        ),
        (
            "model: cnn\ndata: {source: digits, amuont: 8}",
            "line 2, data.amuont: unknown key, did you mean 'amount'? (known: amount, subset",
        ),
        (
            "modle: cnn\nmodel: cnn",
            "line 1, modle: unknown key, did you mean 'model'? (known: format, model, data, loss, ",
        ),
        (
            "model: cnn\ngroups:\n- {name: a, files: [x], fact: {}}",
            "line 3, groups.0.fact: unknown key, did you mean 'facts'? (known: name, files, facts)",
        ),
        (
            "model: cnn\ndata: {source: torchvison, name: MNIST, root: .}",
            "line 2, data: source 'torchvison' is unknown, did you mean 'torchvision'? (known: dig",
        ),
        ("model: cnn\npattern: w{widht}", "line 2, pattern: fact 'widht' is unknown, did you mean"),
        ("model: cnn\nloss: {factor: mse}", "line 2, loss.factor: unknown key, did you mean"),
    ],
)
def test_the_nearest_word_that_may_stand_there_is_suggested(faults, text, fault):
    _, only = faults(text)
    assert only.startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("data: digits", "model: is required"),
        ("model:", "line 1, model: must be a mapping, got None"),
        ("model: [cnn]", "line 1, model: must be a mapping, got ['cnn']"),
        ("model: ''", "line 1, model.factory: must not be empty, got ''"),
        ("model: cnn\nformat: 2", "this mdtree reads format 1, got 2: install a newer mdtree"),
        ("model: cnn\ndata: {amount: 3}", "line 2, data: no source (known: digits, "),
        ("model: cnn\ndata: 'my mod:make'", "line 2, data.source: String should match"),
        ("model: cnn\ndata: {source: tensors}", "line 2, data.train: is required"),
        ("model: cnn\ndata: {source: images}", "line 2, data.root: is required"),
        ("model: cnn\ndata: 7", "line 2, data"),
        ("model: cnn\nweights_key: 7", "weights_key: must be text (in quotes, if it looks like"),
        ("model: cnn\ngroups: {a: b}", "line 2, groups: must be a list, got {'a': 'b'}"),
        ("model: cnn\ngroups: [{name: 7, files: [x]}]", "groups.0.name: must be text (in quotes"),
        ("model: {factory: cnn, kwargs: {3: 4}}", "line 1, model.kwargs.3: must be text"),
        ("model: cnn\n3: 4", "line 2, 3: Keys should be strings, got 3"),
        ("model: cnn\nfacts: {x: [1]}", "facts.x: must be a finite number, text, true or false"),
        ("model: cnn\nfacts: {x: .inf}", "facts.x: must be a finite number, text, true or false"),
        ("model: cnn\nfacts: {bs: 1, width: -1}", "fact 'width' must be a number of at least 0"),
        ("model: cnn\nfacts: {test_accuracy: true}", "must be a number of at least 0, got True"),
        (
            "model: cnn\npattern: w8",
            "must name each fact once, as in bs_{batch_size}/w{width}, got 'w8'",
        ),
        ("model: cnn\npattern: '{w}{w}'", "line 2, pattern: must name each fact once"),
        ("model: cnn\npattern: '{1}'", "line 2, pattern: must name each fact once"),
        (
            "model: cnn\ndata: {source: digits, amount: ten}",
            "must be a whole number of at least 1, or a fact such as $amount, got 'ten'",
        ),
        ("model: cnn\ndata: {source: digits, amount: 0}", "data.amount: must be a whole number of"),
        ("model: cnn\ndata: {source: digits, amount: $}", "data.amount: must be a whole number of"),
        (
            "model: cnn\ndata: {source: digits, label_noise: -0.1}",
            "data.label_noise: must be a share from 0 to 1, or a fact such as $noise, got -0.1",
        ),
        (
            "model: cnn\ngroups: [&a {name: a, files: [x]}, {name: b, files: [x]}, *a]",
            "line 2, groups: groups 0 and 2 are both named 'a'",
        ),
    ],
)
def test_each_mistake_is_one_fault_that_says_what_was_got_and_allowed(faults, text, fault):
    head, *rest = faults(text)
    assert head == ""
    assert len(rest) == 1
    assert fault in rest[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "an empty file"), ("# nothing", "an empty file"), ("- a", "a list"), ("hello", "a str")],
)
def test_a_file_that_holds_something_else_is_no_recipe(faults, text, what):
    assert faults(text) == [f"a recipe must be a mapping that begins with `model:`, got {what}"]


def test_a_long_wrong_value_is_cut_short(faults):
    for text in (f"groups: {'x' * 5000}", f"data: {{source: digits, amount: {'x' * 5000}}}"):
        (fault,) = faults(f"model: cnn\n{text}")[1:]
        assert len(fault) < 250


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"colour_{number}: 1\n" for number in range(5_000)),
        "groups:\n" + "- {name: a}\n" * 1_000,
    ],
)
def test_of_very_many_faults_the_first_are_told(faults, text):
    head, *rest = faults(f"model: cnn\n{text}")
    assert head == "more than 20 things are wrong; the first are:"
    assert len(rest) == 20


def test_of_very_many_wrong_facts_the_first_are_told(faults):
    facts = "".join(f"  batch_siz{number % 10}{number}: 1\n" for number in range(150))
    _, only = faults(f"model: cnn\nfacts:\n{facts}")
    assert only.count("did you mean") == 20


def test_there_is_an_end_to_the_facts_of_a_group(faults):
    many = "".join(f"    fact_{number}: 1\n" for number in range(201))
    for text in (f"facts:\n{many}", f"groups:\n- name: a\n  files: [a.pt]\n  facts:\n{many}"):
        _, only = faults(f"model: cnn\n{text}")
        assert only.endswith("facts: has 201 entries, at most 200 are allowed")


def test_a_fault_is_told_on_one_short_line_whatever_a_key_is(faults):
    _, only = faults(f'model: cnn\n? "a\\nerror: {"b" * 100_000}"\n: 1')
    assert only.startswith("line 2, a\\nerror: bbb")
    assert len(only) == 2000
