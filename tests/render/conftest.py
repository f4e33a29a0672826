"""The report in a real browser: the Chromium of the system, driven by Playwright.

Playwright reads pages as assistive programs do (by role and name), sets width and colour scheme,
and lists requests; it starts the Chromium that is installed and downloads none.
"""

from __future__ import annotations

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 600_000  # milliseconds: it ends what hangs, and nothing that is slow
HEIGHT = 900  # pixels of a window

UNTOUCHED = """() => scrollY === 0 && !location.hash && document.activeElement === document.body
    && !document.querySelector("details[open]")"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright: pip install 'mdtree-diagnosis[browser]'"
    )
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, timeout=PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def windows(browser):
    """Keep a window for each way to open one: a new one takes longer than most pages."""
    return {}


@pytest.fixture
def opened(browser, windows, tmp_path):
    """Open a page from a file: opened(text, width=360).requests == [its own address].

    Windows are used again, by other tests: what emulates paper ends with the test.
    """
    taken = []

    def opened(text, *, width=1400, scheme="light", **options):
        free = windows.setdefault((*sorted(options.items()),), [])
        page = free.pop() if free else _window(_context(browser, **options))
        taken.append((free, page))
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        return _load(page, text, tmp_path)

    yield opened
    for free, page in taken:
        page.goto("about:blank")
        page.emulate_media(media="null")
        free.append(page)


@pytest.fixture(scope="module")
def looked_at(browser, tmp_path_factory):
    """Look at a page at some width, in some scheme, or on paper: looked_at(text, width=360).

    Each page is loaded once, as that takes longest, and many tests look at it.  So they may click
    nothing, focus nothing and scroll nowhere: `opened` is for those that do.
    """
    contexts, pages = {}, {}

    def loaded(text, options):
        context = contexts.get(options) or _context(browser, **dict(options))
        contexts[options] = context
        return _load(_window(context), text, tmp_path_factory.mktemp("page"))

    def looked_at(text, *, width=1400, scheme="light", media="screen", **options):
        key = text, tuple(sorted(options.items()))
        page = pages[key] = pages.get(key) or loaded(*key)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme, media=media)
        assert page.evaluate(UNTOUCHED), "a test that changes its page takes `opened`"
        return page

    return looked_at


def _load(page, text, folder):
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    page.requests, page.messages = [], []
    page.goto(path.as_uri())
    return page


def _context(browser, **options):
    context = browser.new_context(offline=True, **options)
    context.set_default_timeout(PATIENCE)
    return context


def _window(context):
    page = context.new_page()
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("dialog", lambda dialog: page.messages.append(dialog.message))
    return page
