"""Pictures: nothing of the tree is lost, and nothing in it can break the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.tree import tree_shape, tree_svg, tree_text, walk_picture
from mdtree.trees import Split, leaves
from mdtree.trees.node import KNOWN
from tests.support.trees import leaf, split

SVG = "{http://www.w3.org/2000/svg}"


TREE = split(
    "train_error",
    0.52341,
    leaf("cold", cold=33.0, hot=1.0),
    split("log_hessian_trace", 7, leaf("hot", cold=0.0, hot=4.0), leaf("cold")),
)


def boxes(svg):
    return [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in ET.fromstring(svg).iter(f"{SVG}rect")
    ]


def lit(svg):
    """List the words inside what is lit."""
    (layer,) = ET.fromstring(svg).findall(f"{SVG}g[@class='lit']")
    return [text.text for text in layer.iter(f"{SVG}text")]


def name_of(node):
    return type(node).__name__ if isinstance(node, Split) else node.answer


def drawn(tree, walked):
    """Draw a walk as a file that an XML reader knows for SVG."""
    svg = walk_picture(tree, "shape", name_of, walked)
    return svg.replace("<svg", f'<svg xmlns="{SVG[1:-1]}"', 1)


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def grown(depth, answer="none"):
    if depth == 0:
        return leaf(answer, **dict.fromkeys(FAILURE_MODES, 1234.0))
    return split("connectivity_peak", -1.38904, grown(depth - 1), grown(depth - 1))


def test_the_text_is_the_tree():
    assert tree_text(TREE).splitlines() == [
        "train_error <= 0.5234 %",
        "├─ yes: cold  (33 cold, 1 hot)",
        "└─ no:  log_hessian_trace <= 7",
        "        ├─ yes: hot  (4 hot)",
        "        └─ no:  cold  (no groups)",
    ]


def test_a_leaf_alone_is_one_line_and_one_box():
    assert tree_text(leaf("hot", hot=2.0)) == "hot  (2 hot)"
    assert len(boxes(tree_svg(leaf("hot")))) == 1


def test_a_leaf_tells_what_its_answer_gains():
    text = tree_text(leaf("model_small", gains={"enlarge_model": 16.13, "add_data": 20.0}))
    assert "enlarge_model: +16.1 points" in text
    assert "add_data" not in text


def test_a_question_for_what_is_missing_is_asked_in_words():
    tree = split("cka", KNOWN, leaf("a"), leaf("b"))
    assert tree_text(tree).startswith("cka is known\n")
    assert "cka is known" in words(tree_svg(tree))


@pytest.mark.parametrize("depth", [0, 1, 3, 5])
def test_text_and_picture_have_every_node(depth):
    tree = grown(depth)
    ends = 2**depth
    assert tree_text(tree).count("none  (") == ends
    assert len(tree_text(tree).splitlines()) == 2 * ends - 1
    picture = ET.fromstring(tree_svg(tree))
    assert len(list(picture.iter(f"{SVG}rect"))) == 2 * ends - 1
    assert len(list(picture.iter(f"{SVG}path"))) == 2 * (ends - 1)
    assert words(tree_svg(tree)).count("none") == ends


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_boxes_do_not_touch_and_lie_within_the_picture(depth):
    svg = tree_svg(grown(depth))
    _, _, width, height = map(float, ET.fromstring(svg).get("viewBox").split())
    rectangles = boxes(svg)
    for x, y, w, h in rectangles:
        assert min(x, y, width - x - w, height - y - h) > 0
    for (x0, y0, w, h), (x1, y1, _, _) in combinations(rectangles, 2):
        assert abs(x0 - x1) > w or abs(y0 - y1) > h


def test_no_line_is_longer_than_its_box():
    """At 13 and 11 pixels a letter is about 7 and 6 pixels wide."""
    svg = tree_svg(grown(1, answer="temperature_high"))
    wide = boxes(svg)[0][2]
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        assert len(text.text) * (6 if text.get("class") == "s" else 7) <= wide


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "\"&<>'",
        "]]>",
        "\x00\x1b[2J",
        "\ud800",
        "\u202eleft",
        "ünïcode 🌳",
    ],
)
def test_a_hostile_name_stays_text(name):
    tree = split(name, 1, leaf(name, **{name: 1.0}), leaf("b"))
    svg = tree_svg(tree)
    assert "<script" not in svg
    assert svg.encode()
    picture = ET.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {
        "svg",
        "style",
        "rect",
        "text",
        "path",
    }
    if name.isprintable():
        assert name in words(svg)


@given(st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False))
def test_every_name_and_threshold_gives_well_formed_xml(name, threshold):
    tree = split(name, threshold, leaf(name), leaf("b"))
    assert len(boxes(tree_svg(tree))) == len(list(leaves(tree))) + 1


def test_the_picture_needs_nothing_from_elsewhere_and_follows_light_and_dark():
    svg = tree_svg(TREE)
    assert svg.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert "prefers-color-scheme:dark" in svg
    assert ET.fromstring(svg).get("aria-label") == "decision tree"


def test_the_shape_of_a_tree_is_all_of_it():
    shape = ET.fromstring(tree_shape(TREE, "tree-1", name_of))
    assert shape.get("id") == "tree-1"
    texts = [text.text for text in shape.iter("text")]
    assert [text for text in texts if text in ("Split", "hot", "cold")] == [
        *("cold", "hot", "cold", "Split", "Split")
    ]
    assert len(list(shape.iter("rect"))) == 5
    assert len(list(shape.iter("path"))) == 4


@pytest.mark.parametrize(
    ("walked", "expected"),
    [
        (["low"], ["Split", "38 groups", "yes", "cold", "33 of 34 groups"]),
        (
            ["high", "low"],
            ["Split", "38 groups", "no", "Split", "4 groups", "yes", "hot", "4 of 4 groups"],
        ),
        ([], ["Split", "38 groups"]),
    ],
)
def test_the_walk_is_lit_and_the_shape_stands_back(walked, expected):
    svg = drawn(TREE, walked)
    assert sorted(expected) == sorted(lit(svg))
    assert sorted(expected) == sorted(words(svg))
    below, above = ET.fromstring(svg)
    assert (below.tag, below.get("href"), below.get("class")) == (f"{SVG}use", "#shape", "off")
    assert above.get("class") == "lit"


@pytest.mark.parametrize("walked", [[], ["low"], ["high"], ["high", "low"], ["high", "high"]])
def test_a_walk_lies_on_the_shape(walked):
    shape = ET.fromstring(tree_shape(TREE, "shape", name_of))
    places = {tuple(sorted(part.attrib.items())) for part in shape}
    (layer,) = ET.fromstring(drawn(TREE, walked)).findall(f"{SVG}g")
    assert {tuple(sorted(part.attrib.items())) for part in layer} <= places
    assert len(layer.findall(f"{SVG}rect")) == len(walked) + 1


def test_a_walk_is_told_to_those_who_do_not_see_it():
    label = ET.fromstring(drawn(TREE, ["high", "low"])).get("aria-label")
    assert label == "decision tree; Split: no; Split: yes; hot"


def test_a_walk_longer_than_the_tree_ends_with_it():
    assert lit(drawn(leaf("hot"), ["low", "low"])) == ["hot", "0 of 0 groups"]
    assert "cold" in lit(drawn(TREE, ["low", "low", "low"]))


def test_the_style_touches_nothing_beside_the_tree():
    """A picture inside a page shares its style with the whole page."""
    style = ET.fromstring(tree_svg(TREE)).find(f"{SVG}style").text
    rules = style.replace("@media screen and (prefers-color-scheme:dark){", "").split("}")
    selectors = [part.split("{")[0].strip() for part in rules if "{" in part]
    assert len(selectors) > 10
    assert all(selector.startswith(".tree ") for rule in selectors for selector in rule.split(","))
