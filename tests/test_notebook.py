"""A notebook that is executed by nbconvert, and read in headless Chromium as the HTML that it exports."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import tiny
from tests.render.browsers import chromium

nbformat = pytest.importorskip("nbformat", reason="nbconvert is not installed: pip install '.[test]'")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install '.[test]'")

VIEW = "application/vnd.jupyter.widget-view+json"
CELLS = (
    "import attnviz",
    "att = attnviz.load({encoder!r}).attend('the bank approved the loan')\natt",
    "attnviz.load({translator!r}).attend('the bank approved the loan', target='the river')",
    "att.plot(layer=0, head=1, view='difference', versus=att)",
    "att.widget('head=1.1&pin=bank,loan')",
    "att.compare(attnviz.load({encoder!r}).attend('the bank approved the house'))",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory, tiny_t5: Path) -> Any:
    """The notebook with its outputs."""
    from nbconvert.preprocessors import ExecutePreprocessor

    folder = tmp_path_factory.mktemp("notebook")
    encoder = tiny.bert(folder / "encoder")
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(source.format(encoder=str(encoder), translator=str(tiny_t5))) for source in CELLS
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(folder / name.lower()))
        ExecutePreprocessor(timeout=120).preprocess(notebook, {"metadata": {"path": str(Path.cwd())}})
    return notebook


def bundle(notebook: Any, cell: int) -> Any:
    (found,) = (each for each in notebook.cells[cell].outputs if each.output_type in ("execute_result", "display_data"))
    assert not [each for each in notebook.cells[cell].outputs if each.output_type in ("stream", "error")]
    return found.data


def test_a_record_is_a_page_a_picture_and_a_line(executed: Any) -> None:
    for cell, said in ((1, "<Attention of "), (2, "<EncoderDecoder of ")):
        found = bundle(executed, cell)
        assert set(found) == {"text/plain", "image/png", "text/html"}
        assert found["text/plain"].startswith(said)
        assert min(Image.open(io.BytesIO(base64.b64decode(found["image/png"]))).size) > 100
    assert "image/png" in bundle(executed, 3)
    compared = bundle(executed, 5)
    assert compared["text/html"].startswith("<table")
    assert "H" in compared["text/plain"]


def test_the_output_of_a_widget_holds_its_view_and_the_notebook_its_state(executed: Any) -> None:
    view = bundle(executed, 4)[VIEW]
    kept = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"][view["model_id"]]
    assert kept["model_module"] == "anywidget"
    assert kept["state"]["state"] == "head=1.1&pin=bank,loan"
    assert "export default" in kept["state"]["_esm"]
    assert sorted(each["path"] for each in kept["buffers"]) == [[name, 0] for name in ("scores", "vectors", "weights")]


def test_the_exported_notebook_shows_the_pages(executed: Any, browser: Any, tmp_path: Path) -> None:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="")
    shown = nbformat.from_dict({**executed, "cells": executed.cells[:3], "metadata": {}})
    html, _ = exporter.from_notebook_node(shown)
    (tmp_path / "notebook.html").write_text(html, encoding="utf-8")
    tab = browser.new_page()
    fetched: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: fetched.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((tmp_path / "notebook.html").as_uri())
    assert tab.locator("iframe").count() == 2
    for number, map_ in ((0, "self"), (1, "target → source")):
        inner = tab.frame_locator("iframe").nth(number)
        inner.locator("#page[data-ready]").wait_for()
        link = inner.locator(".links a").first
        words = link.locator("bdi").all_inner_texts()
        link.click()
        assert f"{words[0]} → {words[1]} {link.locator('b').inner_text()}" in inner.locator(".readout").inner_text()
        maps = inner.locator("select[aria-label=Map] option:checked")
        assert maps.all_inner_texts() == ([map_] if number else [])
    assert not said
    assert all(url.startswith(("file:", "about:", "data:")) for url in fetched)
    tab.close()
