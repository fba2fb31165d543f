"""Where numba keeps what it compiles, where the package's folder can't be written."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import attnviz
from attnviz.attention import compiled
from attnviz.attention.compiled import ON_COMPILE
from attnviz.attention.tile import find_loops, run_loop

pytest.importorskip("numba")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of compiled loops beside which nothing can be written, whoever runs the tests; its name."""
    folder = tmp_path / f"loops_{tmp_path.name}"
    folder.mkdir()
    shutil.copy(Path(compiled.__path__[0]) / "math.py", folder)
    (folder / "__pycache__").touch()  # no folder: numba can make none
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return f"{folder.name}.math"


def fresh(module: str) -> ModuleType:
    """The ``module`` as a process finds it that begins to use it."""
    sys.modules.pop(module, None)
    loops = find_loops.__wrapped__(module)
    assert loops
    return loops


def compilations(module: str) -> int:
    """How often something was compiled for a process that begins to use ``module``."""
    said, say = [], lambda: said.append(1)
    ON_COMPILE.append(say)
    try:
        assert fresh(module).maximum(np.array([1, 3, 2], np.float32)) == 3
    finally:
        ON_COMPILE.remove(say)
    return len(said)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where a cache folder is, is said by XDG_CACHE_HOME")
def test_what_is_compiled_is_kept_in_the_users_folder_where_the_packages_cannot_be_written(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert compilations(package) > 0
    assert [*cache.rglob("*.nbc")]
    assert compilations(package) == 0
    shutil.rmtree(cache)
    cache.touch()  # nor can the user's be written: torch computes
    sys.modules.pop(package)
    assert find_loops.__wrapped__(package) is None


def test_what_may_not_be_compiled_is_loaded_where_it_was_compiled_before(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = np.array([1, 3, 2], np.float32)

    def ran(*, compiling: bool) -> bool:
        return run_loop(fresh(package).maximum, row, compiling=compiling)

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache"))
    said, say = [], lambda: said.append(1)
    monkeypatch.setattr("attnviz.attention.tile.ON_COMPILE", [say])
    assert not ran(compiling=False)
    loops = fresh(package)
    assert [run_loop(loops.maximum, row, compiling=False) for _ in range(2)] == [False, False]
    assert said == []
    assert ran(compiling=True)
    assert said
    said.clear()
    assert run_loop(loops.maximum, row, compiling=False)  # another has compiled it in between
    assert ran(compiling=False)
    assert said == []


def imported(path: Path, found: set[Path]) -> set[Path]:
    """The package's files that a file of compiled loops imports, and those that these do."""
    package = Path(attnviz.__path__[0])
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attnviz."):
            place = package.joinpath(*node.module.split(".")[1:])  # type: ignore[union-attr]
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            if file not in found:
                found.add(file)
                imported(file, found)
    return found


@pytest.mark.parametrize("name", ["packs", "passes", "products", "units"])
def test_a_change_of_what_compiled_loops_import_changes_their_file(name: str) -> None:
    # numba loads from its cache what it compiled of a file with the same content, after an update of the package too.
    path = Path(compiled.__path__[0]) / f"{name}.py"
    texts = "".join(file.read_text("utf-8") for file in sorted(imported(path, set())))
    digest = hashlib.sha256(texts.encode()).hexdigest()[:12]
    mark = re.search(r"^# Its imports, for numba's cache: ([0-9a-f]{12})$", path.read_text("utf-8"), re.MULTILINE)
    assert mark
    assert mark[1] == digest, f"in {name}.py write: # Its imports, for numba's cache: {digest}"
