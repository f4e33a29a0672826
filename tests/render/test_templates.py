"""Templates: they escape by construction, read nothing that is not there, and are installed."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from jinja2 import UndefinedError

from mdtree.render.html import environment
from mdtree.render.svg import Markup
from tests.support.reports import HOSTILE

NAMES = sorted(
    path.name for path in resources.files("mdtree.render").joinpath("templates").iterdir()
)


def written(template, **values):
    return environment().from_string(template).render(**values)


def test_the_page_is_made_of_these_files():
    assert NAMES == [
        "comparison.css",
        "comparison.html",
        "group.html",
        "overview.css",
        "overview.html",
        "page.css",
        "page.html",
        "pictures.css",
        "print.css",
        "run.html",
        "shapes.html",
        "tree.css",
        "words.html",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_template_switches_escaping_off(name):
    source, *_ = environment().loader.get_source(environment(), name)
    assert not re.search(r"\bsafe\b|autoescape|<script|\son\w+=|style=", source)


@pytest.mark.parametrize("name", NAMES)
def test_attributes_are_quoted(name):
    source, *_ = environment().loader.get_source(environment(), name)
    assert not re.search(r"=\s*\{\{", source)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "template",
    ["{{ x }}", "{{ [x, x] | join(x) }}", "{{ x | sentence }}", "{{ '%s' | format(x) }}"],
)
def test_whatever_a_template_writes_is_escaped_and_printable(template, name):
    text = written(template, x=name)
    assert text.isprintable()
    assert not re.search("[<>\"']", text)


def test_markup_of_ours_is_written_as_it_is_and_joined_with_text_it_is_text():
    assert written("{{ x }}", x=Markup("<svg/>")) == "<svg/>"
    assert written("{{ x + '<b>' }}", x=Markup("<svg/>")) == "&lt;svg/&gt;&lt;b&gt;"


def test_a_long_text_is_cut():
    assert written("{{ x }}", x="<" * 3000) == "&lt;" * 1999 + "…"


def test_a_name_that_is_not_there_is_a_fault_and_not_an_empty_place():
    for template in ("{{ nowhere }}", "{% if nowhere %}{% endif %}", "{{ x.nowhere }}"):
        with pytest.raises(UndefinedError):
            written(template, x={})
