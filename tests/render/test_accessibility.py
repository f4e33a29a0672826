"""The page and axe-core: no rule of WCAG 2 is broken, narrow and wide, in light and dark.

axe-core is a tool that is fetched, not a part of mdtree: `make axe` (scripts/fetch_axe.py).
"""

from __future__ import annotations

import pytest

from tests.support.pages import PAGES
from tests.support.paths import ROOT

FOLDER = ROOT / ".axe"
WIDTHS = (360, 1440)
ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RULES = {
    "light": {"type": "tag", "values": ALL},
    # in the dark nothing but colours is another
    "dark": {"type": "rule", "values": ("color-contrast", "link-in-text-block")},
}
CHECK = """async rules => (await axe.run(document, {runOnly: rules}))
    .violations.map(each => [each.id, each.nodes.length, each.nodes.slice(0, 5)
        .map(node => [node.html.slice(0, 200), node.failureSummary])])"""


@pytest.fixture(scope="module")
def axe():
    """Read axe-core, of the version that `scripts/fetch_axe.py` names."""
    path = next(iter(sorted(FOLDER.glob("axe-*.min.js"))), None)
    if path is None:
        pytest.skip("needs axe-core: make axe (with npm)")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def violations(opened, axe):
    """List what axe-core finds on a page; the page itself allows no script."""

    def violations(text, *, scheme="light", **options):
        page = opened(text, bypass_csp=True, scheme=scheme, **options)
        page.evaluate(axe)
        return page.evaluate(CHECK, RULES[scheme])

    return violations


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_rule_is_broken(violations, make, width, scheme):
    assert violations(make(), width=width, scheme=scheme) == []


def test_a_broken_rule_is_found(violations):
    broken = PAGES["usual"]().replace("--soft:#59636e", "--soft:#c9d3de").replace(' lang="en"', "")
    assert {"color-contrast", "html-has-lang"} <= {name for name, *_ in violations(broken)}


def test_a_bad_colour_is_found_in_the_dark(violations):
    broken = PAGES["usual"]().replace("--soft:#9da8b3", "--soft:#30363d")
    assert broken != PAGES["usual"]()
    assert "color-contrast" in {name for name, *_ in violations(broken, scheme="dark")}
