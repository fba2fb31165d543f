"""Make the recording of the explorer that the README shows: ``python -m tests.explore_pictures``.

The explorer is driven without a terminal; each step is a frame, drawn by Chromium.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
from pathlib import Path

from attnviz.explore.app import Explorer
from attnviz.explore.session import Session
from attnviz.explore.source import Running
from attnviz.interface import load
from attnviz.record import Request
from tests.explore.driving import session, settled
from tests.readme import BANK

SAMPLES = Path(__file__).parent.parent / "samples"
SIZE = (96, 28)
_WIDE = 880
"""The width of the recording, in pixels."""
FRAMES: tuple[tuple[str, float], ...] = (
    ("", 2.0),
    *(("right", 0.35), ("down", 0.35), ("down", 0.6)),
    *(("tab tab", 0.6), ("left", 0.5), ("left", 0.5), ("left", 0.9), ("enter", 1.6)),
    *(("shift+tab shift+tab", 0.4), ("o", 1.6), ("down", 0.5), ("down", 0.9)),
    *(("o o o o", 0.6), ("escape", 0.6), ("f", 1.2), ("enter enter", 2.2), ("escape", 0.5)),
    *(("a", 2.6), ("escape", 0.6)),
)
"""What is pressed, and for how many seconds it is shown."""


def begun() -> Session:
    """The bank sentence in the default model."""
    model = load()
    return session(source=Running(lambda: model, BANK), request=Request(rank="lift"))


async def frames() -> list[str]:
    """The screen after each step, as SVG that loads nothing from elsewhere."""
    program, found = Explorer(begun()), []
    async with program.run_test(size=SIZE) as pilot:
        await settled(program, pilot)
        for keys, _ in FRAMES:
            if keys:
                await pilot.press(*keys.split())
                await settled(program, pilot)
            found.append(plain(program.export_screenshot(title=f'attnviz explore "{BANK[:29]} …"')))
    return found


def plain(svg: str) -> str:
    """A screenshot with fonts that every system has; textual's come from a CDN, and its ids are numbers by chance."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    return re.sub(r"terminal-\d+", "explore", svg)


def record(shown: list[str], path: Path) -> None:
    """Write the frames as a GIF."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    images = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDE, "height": 400})
        for svg in shown:
            page.set_content(f"<body style='margin:0;background:#1b1b1b'>{svg}</body>")
            page.add_style_tag(content=f"svg{{width:{_WIDE}px;height:auto;display:block}}")
            png = page.locator("svg").first.screenshot()
            images.append(Image.open(io.BytesIO(png)).convert("RGB"))
        browser.close()
    every = Image.new("RGB", (images[0].width, sum(image.height for image in images)))
    for i, image in enumerate(images):
        every.paste(image, (0, i * image.height))
    palette = every.quantize(128)
    first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    first.save(
        path, save_all=True, append_images=rest, duration=[int(1000 * seconds) for _, seconds in FRAMES], loop=0,
        optimize=True,
    )  # fmt: skip


def make() -> None:
    """Write it to samples/."""
    record(asyncio.run(frames()), SAMPLES / "explore.gif")


if __name__ == "__main__":
    make()
