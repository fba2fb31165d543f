"""The report on a corpus, used as a reader uses it, in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.roles import roles
from attnviz.render import palette
from attnviz.render.about import About
from attnviz.render.maps import corpus_maps, format_number
from attnviz.render.page.corpus import corpus_page
from tests.analysis.corpora import HEADS, LAYERS, Row, corpus
from tests.render.browsers import Opened, chromium

ROWS: list[Row] = [
    *((i, 1, 2, "loan", "bank", 3, 0.5) for i in range(5)),
    *((i, 0, 2, "river", "water", 3, 0.3) for i in range(2)),
]
ABOUT = About("maker/mini", "native", "float32", ("docs/",), seconds=2.0)
SCORES = np.array([[0.01, 0.02, 0.03, 0.04], [0.05, 0.94, np.nan, 0.06], [0.07, 0.08, 0.09, 0.5]])
FOUND = replace(corpus(30, ROWS), induction=Distribution.of(SCORES[None]))
NAMES = [f"L{layer} H{head}" for layer in LAYERS for head in range(HEADS)]


class Report:
    """A page with its maps."""

    def __init__(self, browser: Any, path: Path, state: str = "", **options: Any) -> None:
        path.write_text(corpus_page(FOUND, roles(FOUND), ABOUT), encoding="utf-8")
        self.page = Opened(browser, path, state, **options)
        self.tab = self.page.tab

    def map(self, title: str) -> Any:
        return self.tab.locator("figure", has=self.tab.get_by_role("heading", name=title, exact=True))

    def said(self, title: str) -> str:
        return " ".join(self.map(title).locator(".readout").inner_text().split())

    def place(self, head: int) -> dict[str, float]:
        """The middle of a head's cell; it is the same in all maps."""
        x, y = self.tab.evaluate(
            "(head) => { const map = page.maps[0]; const [x, y] = map.place(head);"
            " return [x + map.now.wide / 2, y + map.now.high / 2]; }",
            head,
        )
        return {"x": x, "y": y}

    def point(self, title: str, head: int, *, click: bool = False) -> None:
        top = self.map(title).locator("canvas.top")
        (top.click if click else top.hover)(position=self.place(head))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Report]]:
    pages: list[Report] = []

    def open_report(state: str = "", **options: Any) -> Report:
        pages.append(Report(browser, tmp_path / f"{len(pages)}.html", state, **options))
        return pages[-1]

    yield open_report
    for each in pages:
        each.page.close()


def test_a_head_that_is_pointed_at_or_pinned_is_read_in_all_maps(opened: Callable[..., Report]) -> None:
    report = opened()
    maps = {each.title: each for each in corpus_maps(FOUND)}
    assert report.said("induction") == "largest: L1 H1 94.0 %"
    report.point("entropy", 9)
    for title in ("entropy", "induction", "sink"):
        assert report.said(title).startswith(
            f"{NAMES[9]} {format_number(maps[title].values.flat[9], maps[title].metric.unit)}"
        )
    assert "nats ± 0." in report.said("entropy")
    assert "% of the documents" in report.said("entropy")
    assert report.page.state == ""
    report.point("sink", 3, click=True)
    report.tab.mouse.move(2, 2)
    assert report.said("induction") == "L0 H3 4.0 %"
    assert report.page.state == "head=0.3"
    report.point("induction", 6)
    assert report.said("induction") == "L1 H2 none"
    report.tab.mouse.move(2, 2)
    report.page.press("Escape")
    assert report.said("induction") == "largest: L1 H1 94.0 %"
    assert report.page.state == ""


def test_the_keyboard_goes_from_head_to_head(opened: Callable[..., Report]) -> None:
    report = opened("head=3.3")
    top = report.map("induction").locator("canvas.top")
    top.focus()
    assert report.map("induction").locator(".readout").get_attribute("aria-live") == "polite"
    assert report.map("sink").locator(".readout").get_attribute("aria-live") is None
    for key, state in {"ArrowLeft": "3.2", "ArrowUp": "1.2", "ArrowRight": "1.3", "ArrowDown": "3.3"}.items():
        report.page.press(key)
        assert report.page.state == f"head={state}"
    assert report.said("induction") == "L3 H3 50.0 %"
    assert "L3 H3 50.0 %" in (top.get_attribute("aria-label") or "")
    report.page.press("ArrowDown")
    assert report.page.state == "head=0.3"


def test_cells_have_the_colours_of_their_values_and_numbers_stand_behind(opened: Callable[..., Report]) -> None:
    report = opened()
    shares = next(each for each in corpus_maps(FOUND) if each.title == "induction").shares()
    heads = (0, 3, 5, 11)
    drawn = (
        report.map("induction")
        .locator("canvas")
        .first.evaluate(
            "(canvas, places) => { const { width, height } = canvas;"
            " const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
            " const at = ({ x, y }) => 4 * (Math.floor(y) * width + Math.floor(x));"
            " return places.map((place) => [...data.slice(at(place), at(place) + 3)]); }",
            [report.place(head) for head in heads],
        )
    )
    assert drawn == [palette.colour_table("ink")[round(255 * shares.flat[head])].tolist() for head in heads]
    table = report.map("induction").locator("table")
    assert not table.is_visible()
    report.map("induction").locator("summary").click()
    assert table.locator("tr").nth(2).inner_text().split() == ["L1", "5.0", "%", "94.0", "%", "none", "6.0", "%"]


def test_a_role_leads_to_its_head_and_tables_are_sorted(opened: Callable[..., Report]) -> None:
    report = opened()
    report.tab.locator(".role a", has_text="L1 H1").first.click()
    report.page.settle()
    assert report.page.state == "head=1.1"
    assert report.said("induction") == "L1 H1 94.0 %"
    first = report.tab.locator("table.sorted").first.locator("tbody tr td").first
    assert first.inner_text().startswith("loan")
    report.tab.locator("table.sorted").first.get_by_role("button", name="looks").click()
    assert first.inner_text().startswith("river")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1600, "light")])
def test_it_fits_the_screen_light_and_dark_and_is_light_on_paper(
    opened: Callable[..., Report], width: int, scheme: str
) -> None:
    report = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert report.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert report.tab.evaluate("() => page.colours.dark") == (scheme == "dark")
    report.tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert report.tab.evaluate("() => [page.colours.dark, page.colours.card]") == [False, "#ffffff"]
    report.tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert report.tab.evaluate("() => page.colours.dark") == (scheme == "dark")


def test_without_scripts_the_numbers_are_there(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(corpus_page(FOUND, roles(FOUND), ABOUT), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((tmp_path / "report.html").as_uri())
    induction = tab.locator("figure", has=tab.get_by_role("heading", name="induction", exact=True))
    induction.locator("summary").click()
    assert "94.0 %" in induction.locator("table").inner_text()
    context.close()
