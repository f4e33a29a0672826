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
CASES = [*product(WIDTHS, RULES)]
FINE = {case: [] for case in CASES}
# only what is broken is described, which saves a fifth of the time
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
        for width, scheme in CASES:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            found[width, scheme] = page.evaluate(CHECK, RULES[scheme])
        return found

    return violations


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_rule_is_broken(violations, make):
    assert violations(make()) == FINE


BROKEN = {  # the texts whose colour is too near to what is behind them: in one case each
    (360, "light"): ("meaning", "max-width: 400px", "#c9d3de"),
    (360, "dark"): ("step", "max-width: 400px", "#30363d"),
    (1440, "light"): ("headline", "min-width: 1000px", "#c9d3de"),
    (1440, "dark"): ("lead", "min-width: 1000px", "#30363d"),
}


def test_what_is_wrong_is_found_at_the_width_and_in_the_scheme_that_have_it(violations):
    """Broken on purpose: a colour in each case, the language, and a box without a focus."""
    styles = "".join(
        f"@media ({widths}) and (prefers-color-scheme: {scheme}) {{ .{kind} {{ color: {ink}; }} }}"
        for (_, scheme), (kind, widths, ink) in BROKEN.items()
    )
    page = PAGES["steps"]().replace("</style>", f"{styles}</style>")
    page = page.replace(' lang="en"', "").replace('role="group" tabindex="0"', "")
    found = violations(page)
    for case, (kind, *_) in BROKEN.items():
        ((_, count, nodes),) = [each for each in found[case] if each[0] == "color-contrast"]
        assert len(nodes) == count
        assert {html.partition(">")[0] for html, _ in nodes} == {f'<p class="{kind}"'}
    others = {case: {name for name, *_ in found[case]} - {"color-contrast"} for case in CASES}
    assert others == {
        (360, "light"): {"html-has-lang", "scrollable-region-focusable"},
        (360, "dark"): set(),
        (1440, "light"): {"html-has-lang"},  # where the box is wide enough
        (1440, "dark"): set(),
    }
