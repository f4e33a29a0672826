"""YAML as recipes need it: numbers as people write them, one key once, and no bombs."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mdtree.exceptions import RecipeError
from mdtree.recipes.yaml import parse_yaml, read_yaml


def parsed(text: str):
    return parse_yaml(text, "recipe").content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        ("-2e+2", -200.0),
        ("1.5e3", 1500.0),
        (".5e3", 500.0),
        ("1_0e1", 100.0),
        ("0.1", 0.1),
        ("8", 8),
        ("'1e-3'", "1e-3"),
        ("e3", "e3"),
        ("1e", "1e"),
        ("-", [None]),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("true", True),
        ("a: [1e-3, {b: 1e3}]", {"a": [0.001, {"b": 1000.0}]}),
        ("", None),
        ("\ufeffa: 1", {"a": 1}),
        ("18446744073709551615", 2**64 - 1),
        ("12:30", "12:30"),
        ("1:30:00.5", "1:30:00.5"),
        ("1" + ":1" * 100_000, "1" + ":1" * 100_000),
        ("1" + ":1" * 100_000 + ".5", "1" + ":1" * 100_000 + ".5"),
        ("1" + "_" * 100_000, 1),
        ("-.5", -0.5),
        ("010", 8),
        ("08", "08"),
        ("+0x_1f", 31),
        ("-0b101", -5),
        ("-.inf", float("-inf")),
        ("=", "="),
        ("{=: 1}", {"=": 1}),
        ("!!float 8", 8.0),
        ("{'<<': 1}", {"<<": 1}),
        ("'12'", "12"),
    ],
)
def test_values_are_read_as_they_are_meant(text, value):
    again = parsed(text)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is repeated"),
        ("x:\n  - b: 1\n    b: 1\n", 3, "the key 'b' is repeated"),
        ("a: 1\n'a': 2\n", 2, "the key 'a' is repeated"),
        ("a: 1\n\tb: 2\n", 2, "'\\\\t' that cannot start any token"),
        ("a: [1\n", 2, "while parsing a flow sequence, expected ',' or ']'"),
        ("a: *b\n", 1, "found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "could not determine a constructor"),
        ("a: !!python/name:os.system\n", 1, "could not determine a constructor"),
        ("a: 1\nb: !!binary gA==\n", 2, "a recipe cannot contain the type binary"),
        ("a: !!set {b, c}\n", 1, "a recipe cannot contain the type set"),
        ("a: !!omap [b: 1]\n", 1, "a recipe cannot contain the type omap"),
        ("? [1, 2]\n: 3\n", 1, "found unhashable key"),
        ("a: 1\nb: 0x" + "f" * 5000, 2, "a whole number may have at most 64 bits"),
        ("a: 1\nb: " + "9" * 5000, 2, "a whole number may have at most 64 bits"),
        ("a: 0." + "9" * 5000, 1, "a number may have at most 1000 characters"),
        ("a: !!int 1:30", 1, "'1:30' is not a whole number"),
        ("a: !!int 0b", 1, "'0b' is not a whole number"),
        ("a: !!int '1" + ":1" * 50_000 + "'", 1, "a whole number may have at most 64 bits"),
        ("a: !!float 1:30.5", 1, "'1:30.5' is not a number"),
        ("!!int x", 1, "'x' is not a whole number"),
        ("!!float x", 1, "'x' is not a number"),
        ("a:\n  <<: {b: 1}\n  <<: {c: 1}\n", 3, "'<<' is repeated: write << once, with"),
        ("a:\n  <<: 1\n", 2, "<< takes a mapping, or a list of mappings"),
        ("a:\n  <<: [{b: 1}, [c]]\n", 2, "<< takes a mapping, or a list of mappings"),
        ('a: "\\uD800"\n', 1, "'\\\\ud800' contains an invalid character"),
        ('a:\n- "b\\0"\n', 2, "'b\\\\x00' contains a null character"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, line, reason):
    with pytest.raises(RecipeError, match=f"^recipe, line {line}: .*{reason}"):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: \0", "special characters are not allowed"),
        ("!!bool x", "is not valid YAML"),
        ("!!timestamp [1]", "line 1: expected a scalar node"),
        ("[" * 51 + "]" * 51, "is nested more than 50 levels deep"),
        ("[" * 100_000, "is nested more than 50 levels deep"),
        ("- " * 100_000, "is nested more than 50 levels deep"),
        ("[" + "a," * 200_001, "expands to more than 200000 entries"),
        ("a: &x [*x]", "is nested more than 50 levels deep"),
        ("&x {a: {b: *x}}", "is nested more than 50 levels deep"),
    ],
)
def test_no_text_breaks_the_reader(text, reason):
    with pytest.raises(RecipeError, match=reason):
        parsed(text)


def test_50_levels_are_allowed():
    assert str(parsed("[" * 50 + "]" * 50)) == "[" * 50 + "]" * 50


def test_a_bomb_of_aliases_is_refused_before_it_goes_off():
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
    with pytest.raises(RecipeError, match="expands to more than 200000 entries"):
        parsed("l0: &l0 ha\n" + laughs)


def test_a_bomb_of_merged_keys_is_refused():
    pairs = ", ".join(f"k{n}: {n}" for n in range(1000))
    with pytest.raises(RecipeError, match="expands to more than"):
        parsed(f"a: &a {{{pairs}}}\nb:\n" + "  - <<: *a\n" * 300)


def test_a_bomb_of_long_texts_is_refused():
    with pytest.raises(RecipeError, match="expands to more than"):
        parsed(f"- &a {'ha' * 100_000}\n" + "- *a\n" * 1000)


def test_a_tower_of_aliases_is_as_deep_as_it_is_high():
    """Each floor alone is 40 levels deep, and stands on the one before it."""
    floors = "".join(f"f{n}: &f{n} {'[' * 40}*f{n - 1}{']' * 40}\n" for n in range(1, 5))
    with pytest.raises(RecipeError, match="is nested more than 50 levels deep"):
        parsed("f0: &f0 1\n" + floors)


def test_aliases_and_merged_keys_work_where_they_are_harmless():
    merged = "y:\n  z: &z {<<: *x, b: 2, a: 3}\nlate: {<<: [*z, {c: 4}]}\n"
    text = f"x: &x {{a: 1}}\n{merged}list: [*x, *x]\n"
    assert parsed(text) == {
        "x": {"a": 1},
        "y": {"z": {"a": 3, "b": 2}},
        "late": {"a": 3, "b": 2, "c": 4},
        "list": [{"a": 1}, {"a": 1}],
    }


def test_of_equal_keys_that_are_merged_the_first_counts_and_one_that_stands_there_before_all():
    """As YAML 1.1 has it (yaml.org/type/merge.html), under every release of PyYAML."""
    sources = "a: &a {x: 1, y: 1, long name: 1}\nb: &b {x: 2, y: 2, z: 2, long name: 2}\n"
    merged = {"x": 1, "z": 2, "long name": 1}
    for last in ("c: {<<: [*a, *b], y: 3}", "c: {y: 3, <<: [*a, *b]}"):
        assert parsed(sources + last)["c"] == {**merged, "y": 3}
    nested = "c: &c {<<: *a, y: 3}\nd: {<<: [*c, *b]}\ne: {<<: *c, x: 5}"
    assert parsed(sources + nested)["d"] == {**merged, "y": 3}
    assert parsed(sources + nested)["e"] == {"x": 5, "y": 3, "long name": 1}
    assert parsed("<<: []\na: 1") == {"a": 1}


# what PyYAML takes for numbers, for true and false, and for nothing, as its source has it
THEIRS = {
    regex.pattern: regex
    for words in yaml.SafeLoader.yaml_implicit_resolvers.values()
    for tag, regex in words
    if tag.rpartition(":")[2] in ("int", "float", "bool", "null")
}


@given(text=st.sampled_from(sorted(THEIRS)).flatmap(lambda p: st.from_regex(THEIRS[p])))
@settings(deadline=None)
def test_words_that_are_no_times_are_read_as_pyyaml_reads_them(text):
    text = text.strip()
    assume(":" not in text)
    try:
        theirs = yaml.safe_load(text)
    except ValueError:  # such as 0b_
        with pytest.raises(RecipeError, match="is not a whole number"):
            parsed(text)
        return
    assume(not isinstance(theirs, int) or theirs.bit_length() <= 64)
    ours = parsed(text)
    assert type(ours) is type(theirs)
    assert ours == theirs or math.isnan(ours)


def test_messages_are_short_whatever_they_tell():
    for text in ("*" + "a" * 500_000, f"{{{'a' * 500_000}: 1, {'a' * 500_000}: 1}}"):
        with pytest.raises(RecipeError) as error:
            parsed(text)
        assert len(str(error.value)) < 400


def test_the_line_of_each_part_is_known():
    text = "a: 1\nb:\n  c:\n    - 2\n    - d: 3\n  3: x\nm:\n  <<: {e: 1}\n  e: 2\n"
    document = parse_yaml(text, "recipe")
    places = {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 1): 5,
        ("b", "c", 1, "d"): 5,
        ("b", 3): 6,
        ("m", "e"): 9,
        ("b", "kind of a union", "c"): 3,
        ("b", "not there"): 2,
        ("b", "c", 7): 3,
        (): None,
    }
    assert {place: document.line(place) for place in places} == places


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: \xff", "is not a recipe: not UTF-8 text"),
        ("a: ü".encode("utf-16"), "not UTF-8 text|is not valid YAML"),
        (b"a: 1\n" * 300_000, "is too large for a recipe: more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content, reason):
    path = tmp_path / "mdtree.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=f"^{path} .*({reason})"):
        read_yaml(path)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_a_link_to_an_endless_file_is_refused(tmp_path):
    path = tmp_path / "mdtree.yaml"
    path.symlink_to("/dev/zero")
    with pytest.raises(RecipeError, match="more than 1048576 bytes"):
        read_yaml(path)
