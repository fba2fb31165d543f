"""The page in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.record import Array

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; where there is none the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page in a tab of its own, and what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, state: str = "", **options: Any) -> None:
        self.tab = browser.new_page(**({"viewport": {"width": 1400, "height": 900}} | options))
        self.fetched: list[str] = []
        self.said: list[str] = []
        self.tab.on("request", lambda request: self.fetched.append(request.url))
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.url = path.as_uri()
        self.tab.add_init_script("document.addEventListener('attnviz', (event) => { window.page = event.detail; });")
        self.tab.goto(self.url + (f"#{state}" if state else ""))
        self.ready()

    def ready(self) -> None:
        """Wait until all heads are drawn."""
        self.tab.wait_for_selector("#page[data-ready]")

    def settle(self) -> None:
        """Wait until what was done is drawn."""
        self.tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def go(self, state: str) -> None:
        """Follow a link to a state."""
        self.tab.evaluate("(state) => { location.hash = state; }", state)
        self.settle()
        self.settle()

    @property
    def state(self) -> str:
        return str(self.tab.evaluate("location.hash.slice(1)"))

    @property
    def readout(self) -> str:
        return self.text(".readout")

    def text(self, selector: str) -> str:
        return " ".join(self.tab.inner_text(selector).split())

    def word(self, label: str, role: str = "query") -> Any:
        """The first word that reads ``label``."""
        return self.tab.locator(f"[data-role={role}]", has_text=label).first

    def press(self, key: str) -> None:
        self.tab.keyboard.press(key)
        self.settle()

    def table(self) -> tuple[list[str], list[str], Array]:
        """The numbers of the head in hand: the words that look, those looked at, and the weights."""
        rows = self.tab.evaluate(
            "() => { document.querySelector('.numbers').open = true;"
            " const cells = (row) => [...row.cells].map((cell) => cell.textContent);"
            " return [...document.querySelectorAll('.matrix tr')].map(cells); }"
        )
        return [row[0] for row in rows[1:]], rows[0][1:], np.array([row[1:] for row in rows[1:]], float) / 100

    def close(self) -> None:
        """Close it; nothing was fetched but the page, and nothing was complained of."""
        self.tab.close()
        assert [url.partition("#")[0] for url in self.fetched] == [self.url] * len(self.fetched)
        assert not self.said


def unpacked(page: str) -> tuple[dict[str, Any], list[Array | bytes]]:
    """What a page holds: its content, and the weights (L, H, N, M) of each map, or the bytes of a long one."""

    def part(name: str) -> str:
        return page.split(f' id="{name}">', 1)[1].split("</script>", 1)[0]

    content = json.loads(part("content"))
    found: list[Array | bytes] = []
    for number, facts in enumerate(content["maps"]):
        data = zlib.decompress(base64.b64decode(part(f"weights-{number}")), -zlib.MAX_WBITS)
        found.append(data if "long" in facts else _weights(content, facts, data))
    return content, found


def _weights(content: dict[str, Any], facts: dict[str, Any], data: bytes) -> Array:
    """The weights as the script reads them, row by row."""
    n, m = (len(content["texts"][facts[side]]["token"]["labels"]) for side in ("queries", "keys"))
    shape = len(facts["layers"]), facts["heads"], n, m
    seen = np.tri(n, m, dtype=bool) if facts["causal"] else np.ones((n, m), bool)
    heads = shape[0] * shape[1]
    first = np.zeros(shape)
    bytes_ = np.frombuffer(data, np.uint8)
    first[..., seen] = bytes_[: heads * seen.sum()].reshape(*shape[:2], -1)
    weights = (first / facts["steps"]) ** 2
    second = iter(bytes_[heads * seen.sum() :].tolist())
    for *place, row in np.ndindex(shape[:3]):
        known = np.flatnonzero(seen[row])
        strong = sorted(known, key=lambda key: (-first[(*place, row, key)], key))[: facts["exact"]]
        for key in sorted(strong):
            root = first[(*place, row, key)] - 0.5 + (next(second) + 0.5) / 256
            weights[(*place, row, key)] = min(1.0, max(0.0, root / facts["steps"]) ** 2)
    assert next(second, None) is None
    return weights
