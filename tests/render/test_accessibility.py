"""The page and axe-core: no rule of WCAG 2 is broken, narrow and wide, in light and dark.

axe-core is a tool that is fetched, not a part of mdtree: `make axe` (scripts/fetch_axe.py).
"""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.pages import PAGES
from tests.support.paths import ROOT

FOLDER = ROOT / ".axe"
WIDTHS = (360, 1440)
ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RULES = {
    # at each width, as it decides what is shown, what scrolls, and what lies side by side
    "light": {"type": "tag", "values": ALL},
    # in the dark nothing but colours is another
    "dark": {"type": "rule", "values": ("color-contrast", "link-in-text-block")},
}
LOOKS = [*product(WIDTHS, RULES)]
FINE = {look: [] for look in LOOKS}
# What is fine is not described: that would take a fifth of the time.
CHECK = """async rules => (await axe.run(document, {runOnly: rules, resultTypes: ["violations"]}))
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
    """List what axe-core finds on a page at each width and in each scheme.

    The page itself allows no script.
    """

    def violations(text):
        page = opened(text, bypass_csp=True)
        page.evaluate(axe)
        found = {}
        for width, scheme in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            found[width, scheme] = page.evaluate(CHECK, RULES[scheme])
        return found

    return violations


def broken_at(found, rule):
    """List the widths and schemes at which this rule is broken."""
    return [look for look in LOOKS if rule in [name for name, *_ in found[look]]]


def styled(text, style):
    """Give a page one more style, which is the last one."""
    assert text.count("</style>") == 1
    return text.replace("</style>", f"{style}</style>")


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_rule_is_broken(violations, make):
    assert violations(make()) == FINE


def test_a_broken_rule_is_found(violations):
    found = violations(PAGES["steps"]().replace(' lang="en"', ""))
    assert broken_at(found, "html-has-lang") == [(width, "light") for width in WIDTHS]


BAD = {"light": "#c9d3de", "dark": "#30363d"}


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_bad_colour_is_found_at_the_one_width_and_scheme_that_has_it(violations, width, scheme):
    widths = "max-width: 400px" if width == min(WIDTHS) else "min-width: 400px"
    where = f"@media ({widths}) and (prefers-color-scheme: {scheme})"
    page = styled(PAGES["steps"](), f"{where} {{ .meaning {{ color: {BAD[scheme]}; }} }}")
    found = violations(page)
    assert broken_at(found, "color-contrast") == [(width, scheme)]
    assert [node for *_, nodes in found[width, scheme] for node, _ in nodes] == [
        '<p class="meaning">The network is too small.</p>'
    ]


def test_what_only_a_narrow_screen_makes_wrong_is_found_there_and_where_it_is_as_narrow(violations):
    page = PAGES["steps"]().replace('role="group" tabindex="0"', "")
    rule = "scrollable-region-focusable"
    assert broken_at(violations(page), rule) == [(360, "light")]
    page = styled(page, ".scroll { width: 10rem; }")
    assert broken_at(violations(page), rule) == [(360, "light"), (1440, "light")]
