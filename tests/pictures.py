"""Make the pictures that the README shows: ``python -m tests.pictures``.

Tests keep the pictures of the terminal and of the corpus up to date.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from attnviz.cli.app import app
from attnviz.cli.page import CELLS, KEPT, page_of, sources_of
from attnviz.interface import Attention, load
from attnviz.record import Request
from attnviz.render.terminal import screen as terminal
from attnviz.render.terminal.report import check_line
from tests import corpus, relations
from tests.benchmarks import smollm2
from tests.readme import BANK, RIVER
from tests.records import summary_of

SAMPLES = Path(__file__).parent.parent / "samples"


def screen(folder: Path | None = None, width: int = 80) -> str:
    """What ``attnviz show`` prints of the bank sentence, as an SVG that loads nothing from elsewhere.

    ``folder`` holds the model, the default one if it is None.
    """
    model = load(folder or "default")
    attention = model.attend(BANK)
    assert isinstance(attention, Attention)
    summary, check = summary_of(attention, rank="lift"), model.check(BANK)
    console = Console(
        record=True, width=width, file=io.StringIO(), color_system="truecolor", force_terminal=True, markup=False,
        highlight=False, emoji=False,
    )  # fmt: skip
    for part in terminal.summary_parts(summary, named=False):
        console.print(part)
    console.print(check_line(check))
    more = f" --model {folder.name}" if folder else ""
    svg = console.export_svg(
        title=f'attnviz show "The bank approved the loan …"{more}', theme=SVG_EXPORT_THEME, unique_id="bank"
    )
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # rich's fonts come from a CDN
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


def page() -> str:
    """The page that ``attnviz export --file samples/bank.txt`` writes."""
    found = load("default").inspect(BANK, request=Request(size=CELLS, top=KEPT, rank="lift"), scores=True)
    return page_of(sources_of(found), "attnviz show --file samples/bank.txt")


VIEWS: dict[str, list[str]] = {
    "bank-heads.png": [],
    "bank-L5-H7.png": ["--layer", "5", "--head", "7", "--theme", "dark"],
    "bank-arcs.png": ["--view", "arcs", "--layer", "5", "--head", "7"],
    "bank-token.png": ["--view", "token", "--token", "bank", "--layer", "5"],
    "bank-profile.png": ["--view", "profile"],
    "bank-difference.png": ["--layer", "5", "--head", "7", "--versus", RIVER],
}
"""The pictures of the bank sentence, and what else ``attnviz export`` is told of each."""


def draw_views(folder: Path) -> None:
    """Draw the bank sentence in all ways."""
    for name, more in VIEWS.items():
        app(["export", BANK, str(folder / name), "--force", "--dpi", "110", *more], standalone_mode=False)


def make() -> None:
    """Write all pictures to samples/."""
    (SAMPLES / "bank.svg").write_text(screen(), encoding="utf-8")
    decoder = smollm2.folder()
    if decoder is None:
        print(f"bank-smollm2.svg stays as it is: {smollm2.PACKAGES}")
    else:
        (SAMPLES / "bank-smollm2.svg").write_text(screen(decoder), encoding="utf-8")
    draw_views(SAMPLES)
    (SAMPLES / "bank.html").write_text(page(), encoding="utf-8")
    relations.PICTURE.write_bytes(relations.picture())
    with tempfile.TemporaryDirectory() as folder:
        corpus.analyse(Path(folder))
        shutil.copyfile(Path(folder) / "results" / "heads.png", SAMPLES / "corpus-heads.png")


if __name__ == "__main__":
    make()
