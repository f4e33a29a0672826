"""The report in a real browser: the Chromium of the system, driven by Playwright.

Playwright reads pages as assistive programs do (by role and name), sets width and colour scheme,
and lists requests; it starts the Chromium that is installed and downloads none.
"""

from __future__ import annotations

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 600_000  # milliseconds: it ends what hangs, and nothing that is slow


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
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        free = windows.setdefault((scheme, *sorted(options.items())), [])
        page = free.pop() if free else _window(browser, scheme, options)
        taken.append((free, page))
        page.set_viewport_size({"width": width, "height": 900})
        page.requests, page.messages = [], []
        page.goto(path.as_uri())
        return page

    yield opened
    for free, page in taken:
        page.goto("about:blank")
        page.emulate_media(media="null")
        free.append(page)


def _window(browser, scheme, options):
    context = browser.new_context(color_scheme=scheme, offline=True, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("dialog", lambda dialog: page.messages.append(dialog.message))
    return page
