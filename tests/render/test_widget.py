"""The page as a widget of a notebook, with anywidget's part played by a few lines."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from attnviz.errors import UsageError
from attnviz.interface import Attention
from tests.records import random_weights, record
from tests.render.browsers import chromium

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install '.[test]'")

NOTEBOOK = """async ([esm, kept]) => {
    const bytes = (text) => new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
    for (const name of ["weights", "scores", "vectors"]) kept[name] = kept[name].map(bytes);
    const heard = [];
    window.model = {
        get: (name) => kept[name],
        set: (name, value) => { kept[name] = value; },
        save_changes: () => { window.saved = (window.saved ?? 0) + 1; },
        on: (name, see) => heard.push([name, see]),
        off: (name, see) => heard.splice(heard.findIndex((each) => each[0] === name && each[1] === see), 1),
        tell: (name) => heard.filter((each) => each[0] === name).forEach((each) => each[1]()),
        heard,
    };
    document.addEventListener("keydown", (event) => { window.keys = (window.keys ?? "") + event.key; });
    const found = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
    window.names = Object.keys(found);
    const el = document.getElementById("cell");
    window.leave = await found.default.render({ model, el });
}"""
HOST = "<!doctype html><meta charset=utf-8><style>h1 { color: rgb(1, 2, 3) }</style><h1>cells</h1><div id=cell></div>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def attention() -> Attention:
    return Attention(**vars(record(["[CLS]", "the", "bank", "gave", "[SEP]"], random_weights((2, 3, 5)))))


def shown(browser: Any, widget: Any) -> Any:
    """A tab in which the widget is drawn."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.set_content(HOST)
    said: list[str] = []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text))
    tab.said = said
    kept = {name: getattr(widget, name) for name in ("body", "style", "content", "state")}
    for name in ("weights", "scores", "vectors"):
        kept[name] = [base64.b64encode(each).decode() for each in getattr(widget, name)]
    tab.evaluate(NOTEBOOK, [widget._esm, kept])
    tab.locator("#page[data-ready]").wait_for()
    return tab


def test_it_draws_in_a_cell_and_its_state_goes_both_ways(browser: Any) -> None:
    made = attention()
    tab = shown(browser, made.widget("head=1.2&pin=bank,gave"))
    value = f"{100 * made.weights[1, 2, 2, 3]:.1f} %"
    assert tab.locator(".readout").inner_text() == f"L1 H2 bank → gave {value}"
    assert tab.evaluate("names") == ["default"]  # a named `render` would be an old widget's
    tab.evaluate("() => { model.set('state', 'head=0.1&pin=gave,bank'); model.tell('change:state'); }")
    tab.get_by_text(f"{100 * made.weights[0, 1, 3, 2]:.1f} %").first.wait_for()
    tab.locator(".overview canvas.top").click(position={"x": 2, "y": 2})
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("model.get('state').startsWith('head=1.1')")
    assert tab.evaluate("saved") > 1
    assert tab.evaluate("window.keys") is None  # the notebook does not hear what the page does
    assert tab.evaluate("location.hash") == ""
    link = tab.locator(".links a").last
    weight = link.locator("b").inner_text()
    link.click()
    tab.wait_for_function("(text) => model.get('state').includes('pin=')", arg=weight)
    assert tab.url == "about:blank"
    tab.evaluate("() => leave()")
    assert tab.evaluate("model.heard.length") == 0
    assert not tab.said
    tab.close()


def test_its_style_and_that_of_the_notebook_leave_each_other_be(browser: Any) -> None:
    tab = shown(browser, attention().widget())
    colour = "(element) => getComputedStyle(element).color"
    assert tab.locator("h1").first.evaluate(colour) == "rgb(1, 2, 3)"
    assert tab.evaluate("getComputedStyle(document.body).margin") == "8px"
    inner = tab.locator("#cell h1")
    assert inner.evaluate(colour) != "rgb(1, 2, 3)"
    card = tab.locator("#cell .card").first
    assert card.evaluate("(element) => getComputedStyle(element).backgroundColor") == "rgb(255, 255, 255)"
    tab.close()


def test_bytes_go_as_bytes() -> None:
    made = attention()
    widget = made.widget()
    _, _, buffers = sys.modules["ipywidgets"].widgets.widget._remove_buffers(widget.get_state())
    assert sorted(map(bytes, buffers)) == sorted([*widget.weights, *widget.scores, *widget.vectors])
    assert "weights" not in widget.content


def test_without_anywidget_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "attnviz.interface.widget", raising=False)
    with pytest.raises(UsageError, match="anywidget is not installed") as error:
        attention().widget()
    assert error.value.hint == "Install it: pip install 'attnviz[widget]'"
