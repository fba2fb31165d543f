"""Write the scripts of the pages as the modules that browsers load: ``python -m tests.scripts FOLDER``.

A linter then sees each name where it is used, though the files of a module name one another.
"""

from __future__ import annotations

import sys
from pathlib import Path

from attnviz.render.page import corpus, text
from attnviz.render.page.environment import module

MODULES = {"text": [*text.SCRIPTS, "start"], "widget": [*text.SCRIPTS, "widget"], "corpus": [*corpus.SCRIPTS]}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, scripts in MODULES.items():
        (folder / f"{name}.js").write_text(module(scripts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
