"""The report in a real browser: read by role, at two widths, in light and dark, without a network.

The browser is that of `conftest.py`; tests without it are skipped.
"""

from __future__ import annotations

import struct

import pytest

from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.style import COLOURS
from tests.support.pages import PAGES, compared, on_a_grid, on_a_wide_grid, several, usual
from tests.support.reports import grid

NARROW, PAPER, WIDE = 360, 718, 1400  # pixels; A4 without its margins is the second

# What reaches beyond the right edge of the window, but for what can be scrolled inside its box.
BEYOND = """() => [...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".scroll") || e.matches(".scroll"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 200))"""

# The words of tables that stand on two lines, but for those of more than 20 letters; their number.
# What is folded is opened for that, and folded again.
BROKEN = """() => {
    const folded = [...document.querySelectorAll("details")];
    for (const each of folded) each.open = true;
    const broken = [];
    let words = 0;
    for (const cell of document.querySelectorAll("th, td")) {
        if (!cell.checkVisibility() || cell.querySelector(".hidden")) continue;
        const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        for (let text = texts.nextNode(); text; text = texts.nextNode()) {
            for (const found of text.data.matchAll(/[^\\s-]{1,20}/g)) {
                const range = document.createRange();
                range.setStart(text, found.index);
                range.setEnd(text, found.index + found[0].length);
                const tops = new Set([...range.getClientRects()].map(e => Math.round(e.top)));
                words += 1;
                if (tops.size > 1) broken.push(found[0]);
            }
        }
    }
    for (const each of folded) each.open = false;
    return [words, broken];
}"""

# The contrast of all texts with what lies behind them (WCAG 2: relative luminance).
CONTRASTS = """() => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number)
        .map(c => text.startsWith("color(srgb") ? c * 255 : c);
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


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_the_verdict_is_read_by_its_role_without_a_script(looked_at, mode):
    page = looked_at(usual(mode), java_script_enabled=False)
    status = page.get_by_role("status", name="verdict")
    assert status.is_visible()
    assert mode.replace("_", " ") in status.inner_text()


def test_landmarks_and_pictures_are_known_by_their_names(looked_at):
    page = looked_at(several())
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    groups = page.get_by_role("navigation", name="groups", exact=True)
    assert groups.get_by_role("link").count() == 4  # of the order that is shown
    assert page.get_by_role("article", name=grid()[0].group).is_visible()
    page = looked_at(usual())
    for name in ("decision tree", "spectral density", "alpha over", "CKA of", "training loss"):
        assert page.get_by_role("img", name=name).first.is_visible()


def test_a_link_of_the_table_leads_to_its_group(opened):
    page = opened(several())
    page.get_by_role("link", name=grid()[3].group).click()
    assert page.get_by_role("article", name=grid()[3].group).bounding_box()["y"] < 900


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("width", [NARROW, 768, WIDE])
def test_nothing_overflows(looked_at, make, width):
    page = looked_at(make(), width=width)
    assert page.evaluate("innerWidth") == width
    assert page.evaluate(BEYOND) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("make", [usual, several, on_a_wide_grid, compared])
def test_no_word_of_a_table_is_broken_on_a_narrow_screen(looked_at, make):
    page = looked_at(make(), width=NARROW)
    words, broken = page.evaluate(BROKEN)
    assert words > 10
    assert broken == []


@pytest.mark.parametrize(
    ("make", "name"), [(usual, "tree"), (on_a_wide_grid, "map"), (compared, "quantities")]
)
def test_a_box_that_scrolls_sideways_says_so_and_shows_it(looked_at, make, name):
    page = looked_at(make(), width=NARROW)
    box = page.locator(f".scroll[aria-label*={name}]").first
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    assert box.evaluate("e => getComputedStyle(e).backgroundAttachment") == (
        "local, local, scroll, scroll"
    )
    assert page.locator(".cue:has-text('sideways')").first.is_visible()
    wide = looked_at(make(), width=WIDE)
    assert not wide.locator(".cue").first.is_visible()


def test_the_names_inside_a_picture_are_written_as_they_are(looked_at):
    page = looked_at(usual())
    name = page.locator(".surface .label").first
    assert name.evaluate("e => getComputedStyle(e).textTransform") == "none"
    assert name.evaluate("e => getComputedStyle(e).letterSpacing") == "normal"
    assert page.locator("p.label").first.evaluate("e => getComputedStyle(e).textTransform") == (
        "uppercase"
    )


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_request_leaves_the_page_and_nothing_runs(looked_at, make):
    page = looked_at(make())
    assert [url.rpartition("/")[2] for url in page.requests] == ["report.html"]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert page.evaluate("document.scripts.length") == 0
    assert page.messages == []


def test_a_script_would_not_run_if_there_were_one(opened):
    page = opened(usual().replace("</main>", "<script>document.title = 'ran'</script></main>"))
    assert page.title() != "ran"
    assert any("Content Security Policy" in message for message in page.messages)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [usual, several, on_a_grid])
def test_all_text_stands_out_in_light_and_dark(looked_at, make, scheme):
    page = looked_at(make(), scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [text for ratio, text in contrasts if ratio < 4.5] == []


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_the_walk_is_lit_in_the_colour_of_the_verdict(looked_at, mode):
    page = looked_at(usual(mode), java_script_enabled=False)
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


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_nothing_is_cut_off_on_paper(looked_at, make):
    """Not even what can be scrolled on the screen; and nothing stays folded."""
    page = looked_at(make(), width=PAPER, scheme="dark", media="print")
    assert page.evaluate(BEYOND.replace('!e.closest(".scroll") || ', "")) == []
    left = "[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().left)"
    assert page.evaluate(f"Math.min(...{left})") >= -0.5
    heights = "all => all.map(e => e.getBoundingClientRect().height)"
    assert all(page.locator("details > :not(summary)").evaluate_all(heights))


def test_another_order_is_chosen_with_the_keyboard_alone(opened):
    page = opened(on_a_grid(), java_script_enabled=False)
    first = page.get_by_role("radio", name="as listed")
    first.focus()
    groups = page.get_by_role("navigation", name="groups", exact=True)
    listed = groups.get_by_role("link").all_inner_texts()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="largest gain first").is_checked()
    by_gain = groups.get_by_role("link").all_inner_texts()
    assert by_gain != listed
    assert sorted(by_gain) == sorted(listed)


def test_the_tab_key_reaches_all_links_in_their_order_and_shows_where_it_is(opened):
    page = opened(on_a_grid())
    where = """() => {
        const e = document.activeElement, place = e.getBoundingClientRect();
        return [e.tagName, getComputedStyle(e).outlineStyle, Math.round(place.top + scrollY)];
    }"""
    seen = []
    for _ in range(100):
        page.keyboard.press("Tab")
        tag, *rest = page.evaluate(where)
        if tag == "BODY":  # once around
            break
        seen.append((tag, *rest))
    tops = [top for _, _, top in seen]
    assert tops == sorted(tops)
    assert {outline for _, outline, _ in seen} == {"solid"}
    tags = [tag for tag, _, _ in seen]
    # the words, 6 groups on the map and 6 in the chosen order; of each group a table and a tree
    assert [tags.count(tag) for tag in ("A", "INPUT", "SUMMARY", "DIV")] == [13, 1, 6, 7]


def test_the_tree_can_be_scrolled_where_the_screen_is_narrow(opened):
    page = opened(usual(), width=NARROW)
    box = page.get_by_role("group", name="tree").first
    box.focus()
    assert box.evaluate("e => e === document.activeElement && e.scrollWidth > e.clientWidth")


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_kept_for_eyes(looked_at, tmp_path, width, scheme):
    path = tmp_path / f"report-{width}-{scheme}.png"
    looked_at(usual(), width=width, scheme=scheme).screenshot(path=path, full_page=True)
    wide, high = struct.unpack(">II", path.read_bytes()[16:24])
    assert wide == width
    assert high > 1000
