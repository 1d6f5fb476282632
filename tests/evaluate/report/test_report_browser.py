"""Reports in a real browser: quiet, offline, within 360 pixels, legible, usable by keyboard.

Skipped where no Chromium is installed (`apt-get install chromium`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluate import report_browser
from tests.evaluate.report_browser import Browser
from tests.evaluate.report_pages import DARK, LIGHT

pytestmark = pytest.mark.skipif(
    report_browser.program() is None, reason="no chromium is installed here"
)
KINDS = ("dataset", "training", "evaluation")
VIEWS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"

FAINT = """(() => {
 const parts = c => c.match(/[\\d.]+/g).map(Number);
 const light = c => { const [r, g, b] = parts(c).map(v => v / 255).map(
   v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
   return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
 const ground = e => { for (; e; e = e.parentElement) {
   const c = getComputedStyle(e).backgroundColor;
   if ((parts(c)[3] ?? 1) > 0) return c; } return 'rgb(255, 255, 255)'; };
 const found = []; let seen = 0;
 for (const e of document.body.querySelectorAll('*')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  seen += 1;
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) found.push(`${e.tagName}.${e.className} ${ratio}`); }
 return {seen, found: [...new Set(found)]}; })()"""

TOO_WIDE = """(() => { const wide = document.documentElement.clientWidth;
 return [...document.querySelectorAll('main *')].filter(e => {
  if (e.closest('.scroll, pre, svg')?.contains(e) && !e.matches('.scroll, pre')) return false;
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > wide + 1 || box.left < -1);
 }).map(e => `${e.tagName}.${e.className}`); })()"""


@pytest.fixture(scope="module")
def files(pages: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of a page of each kind."""
    paths = {kind: tmp_path_factory.mktemp("pages") / f"{kind}.html" for kind in pages}
    for kind, path in paths.items():
        path.write_bytes(pages[kind])
    return paths


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests."""
    with report_browser.running(tmp_path_factory.mktemp("profile")) as result:
        yield result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_quiet_offline_within_the_screen_and_legible(
    browser: Browser, files: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    browser.open(files[kind], width=width, scheme=scheme)
    browser.value(OPEN_ALL)
    assert browser.requests() == [files[kind].as_uri()]
    assert browser.complaints() == []
    wide = browser.value(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide[0] <= wide[1] <= width
    assert browser.value(TOO_WIDE) == []
    result = browser.value(FAINT)
    assert result["seen"] > 100 and result["found"] == []
    palette = LIGHT if scheme == "light" else DARK
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    parts = [int(palette["ground"][n : n + 2], 16) for n in (1, 3, 5)]
    assert ground == f"rgb({parts[0]}, {parts[1]}, {parts[2]})"
    assert browser.value("document.images.length + document.scripts.length") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_keyboard_reaches_everything(
    browser: Browser, files: dict[str, Path], kind: str
) -> None:
    browser.open(files[kind], width=1280)
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.className") == "skip"
    box = browser.value("document.activeElement.getBoundingClientRect().top")
    assert box >= 0
    assert browser.value("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    browser.press("Enter", 13)
    assert browser.value("location.hash") == "#main"
    reached: set[str] = set()
    for _ in range(60):
        browser.press("Tab", 9)
        name = browser.value("document.activeElement.tagName")
        if name == "SUMMARY" and name not in reached:
            before = browser.value("document.activeElement.parentElement.open")
            browser.press("Enter", 13)
            assert browser.value("document.activeElement.parentElement.open") is not before
        reached.add(name)
    assert {"SUMMARY", "DIV"} <= reached  # what is folded, and tables that scroll


def test_the_checks_can_fail(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<meta charset="utf-8"><main><p style="width:900px;color:#999">faint and wide</p>'
        '<img src="x.png"><script>console.error("x")</script></main>'
    )
    browser.open(page, width=360)
    assert len(browser.requests()) == 2
    assert browser.complaints()
    assert browser.value("document.documentElement.scrollWidth") > 360
    assert browser.value(TOO_WIDE) == ["P."]
    assert len(browser.value(FAINT)["found"]) == 1
