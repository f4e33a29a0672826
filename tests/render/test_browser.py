"""The report in a real browser: read by role, at two widths, in light and dark, without a network.

Driven by Playwright, because it reads pages as assistive programs do (by role and name), sets width
and colour scheme, and lists requests; it starts the Chromium of the system and downloads none.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import replace

import pytest

from mdtree.diagnosis import OutOfDistribution
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.page import report_page
from mdtree.render.style import COLOURS
from mdtree.rows import GroupFailure, Missing
from tests.support.reports import HOSTILE, grid, group, judged, tree, whole_row

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install 'mdtree-diagnosis[browser]'"
)
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)

NARROW, WIDE = 360, 1400
PATIENCE = 600_000  # milliseconds: it ends what hangs, and nothing that is slow
LOST = group("lost", {}, failure=GroupFailure(kind="CheckpointError", reason="cut off"))

# What reaches beyond the right edge of the window, but for what can be scrolled inside its box.
BEYOND = """() => [...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".scroll") || e.matches(".scroll"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 200))"""

# The contrast of all texts with what lies behind them (WCAG 2: relative luminance).
CONTRASTS = """() => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = e => {
        const colour = rgb(getComputedStyle(e).backgroundColor);
        return colour[3] === 0 && e.parentElement ? behind(e.parentElement) : colour;
    };
    return [...document.querySelectorAll("body *")]
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(e => e.checkVisibility() && !e.closest(".off, .matrix, title, style"))
        .map(e => {
            const style = getComputedStyle(e);
            const ink = light(rgb(e.closest("svg") ? style.fill : style.color));
            const paper = light(behind(e));
            const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
            return [ratio, e.outerHTML.slice(0, 100)];
        });
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page from a file: opened(text, width=360).requests == [its own address]."""
    contexts = []

    def opened(text, *, width=WIDE, scheme="light", **options):
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.requests, page.messages = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("dialog", lambda dialog: page.messages.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def hostile():
    """Give a page whose every name is long and hostile."""
    name = "".join(HOSTILE)
    row = whole_row(name, members=(name, f"{name}2"))
    row = replace(
        row,
        quantities={**row.quantities, name: Missing(missing=name), "cka": Missing(missing=name)},
    )
    verdict = judged(row)
    names = {"tree": name, "chosen": name, "warnings": (name,), "versions": {name: name}}
    verdict = replace(verdict, advice=name, basis=replace(verdict.basis, **names))
    return report_page([verdict, verdict], [row, replace(LOST, group=name)], {name: tree()})


def usual(mode="temperature_low"):
    row = whole_row()
    far = OutOfDistribution(distance=2.0, limit=1.0, beyond=("cka",))
    return report_page([judged(row, mode=mode, likely=mode, outlier=far)], [row], {"ours": tree()})


def several():
    rows = grid()[:4]
    return report_page([judged(row) for row in rows], [*rows, LOST], {"ours": tree("cart")})


PAGES = {"usual": usual, "several": several, "hostile": hostile}


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_the_verdict_is_read_by_its_role_without_a_script(opened, mode):
    page = opened(usual(mode), java_script_enabled=False)
    status = page.get_by_role("status", name="verdict")
    assert status.is_visible()
    assert mode.replace("_", " ") in status.inner_text()


def test_landmarks_and_pictures_are_known_by_their_names(opened):
    page = opened(several())
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("navigation", name="groups").get_by_role("link").count() == 4
    assert page.get_by_role("article", name=grid()[0].group).is_visible()
    page = opened(usual())
    for name in ("decision tree", "spectral density", "alpha over", "CKA of", "training loss"):
        assert page.get_by_role("img", name=name).first.is_visible()


def test_a_link_of_the_table_leads_to_its_group(opened):
    page = opened(several())
    page.get_by_role("link", name=grid()[3].group).click()
    assert page.get_by_role("article", name=grid()[3].group).bounding_box()["y"] < 900


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("width", [NARROW, 768, WIDE])
def test_nothing_overflows(opened, make, width):
    page = opened(make(), width=width)
    assert page.evaluate("innerWidth") == width
    assert page.evaluate(BEYOND) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_request_leaves_the_page_and_nothing_runs(opened, make):
    page = opened(make())
    assert [url.rpartition("/")[2] for url in page.requests] == ["report.html"]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert page.evaluate("document.scripts.length") == 0
    assert page.messages == []


def test_a_script_would_not_run_if_there_were_one(opened):
    page = opened(usual().replace("</main>", "<script>document.title = 'ran'</script></main>"))
    assert page.title() != "ran"
    assert any("Content Security Policy" in message for message in page.messages)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [usual, several])
def test_all_text_stands_out_in_light_and_dark(opened, make, scheme):
    page = opened(make(), scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [text for ratio, text in contrasts if ratio < 4.5] == []


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_the_walk_is_lit_in_the_colour_of_the_verdict(opened, mode):
    page = opened(usual(mode))
    lit = page.locator(".lit rect, .lit path")
    strokes = lit.evaluate_all("all => all.map(e => getComputedStyle(e).stroke)")
    assert len(strokes) > 2
    assert set(strokes) == {f"rgb{tuple(bytes.fromhex(COLOURS[mode][1:]))}"}


def test_print_is_light_and_shows_what_the_screen_folds(opened):
    page = opened(several(), scheme="dark")
    table = page.locator("details table").first
    assert not table.is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert table.bounding_box()["height"] > 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    fill = page.locator(".tree.shape rect").first.evaluate("e => getComputedStyle(e).fill")
    assert min(int(part) for part in fill[4:-1].split(",")) > 200


def test_the_tree_can_be_scrolled_where_the_screen_is_narrow(opened):
    page = opened(usual(), width=NARROW)
    box = page.get_by_role("group", name="tree").first
    box.focus()
    assert box.evaluate("e => e === document.activeElement && e.scrollWidth > e.clientWidth")


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_kept_for_eyes(opened, tmp_path, width, scheme):
    path = tmp_path / f"report-{width}-{scheme}.png"
    opened(usual(), width=width, scheme=scheme).screenshot(path=path, full_page=True)
    wide, high = struct.unpack(">II", path.read_bytes()[16:24])
    assert wide == width
    assert high > 1000
