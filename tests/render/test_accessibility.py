"""The page and axe-core: no rule of WCAG 2 is broken, narrow and wide, in light and dark.

axe-core is a tool that is fetched, not a part of mdtree: `make axe` (scripts/fetch_axe.py).
"""

from __future__ import annotations

import pytest

from tests.support.pages import PAGES
from tests.support.paths import ROOT

FOLDER = ROOT / ".axe"
WIDTHS = (360, 1440)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
CHECK = """async rules => (await axe.run(document, {runOnly: {type: "tag", values: rules}}))
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

    def violations(text, **options):
        page = opened(text, bypass_csp=True, **options)
        page.evaluate(axe)
        return page.evaluate(CHECK, RULES)

    return violations


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_rule_is_broken(violations, make, width, scheme):
    assert violations(make(), width=width, scheme=scheme) == []


def test_a_broken_rule_is_found(violations):
    broken = PAGES["usual"]().replace("--soft:#59636e", "--soft:#c9d3de").replace(' lang="en"', "")
    assert {"color-contrast", "html-has-lang"} <= {name for name, *_ in violations(broken)}
