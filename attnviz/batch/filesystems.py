"""Where inputs lie: in folders of this machine, at addresses that fsspec opens, or in standard input."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Literal

from attnviz.batch.failing import as_os_error, reason
from attnviz.errors import InputError, UsageError

Kind = Literal["file", "folder"]
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class FileSystem:
    """Where files and folders lie, by their path; one that has no folders has little to say."""

    def kind(self, path: str) -> Kind | None:  # noqa: ARG002
        """What is there; a file also where it can't be opened."""
        return "file"

    def names(self, folder: str) -> list[str]:
        """What is in a folder, sorted; folders end in a slash. Raises OSError."""
        raise NotADirectoryError(folder)

    def key(self, path: str) -> str:
        """The path by which a file or folder is known to be the same, whatever it is called."""
        return path

    def size(self, path: str) -> int | None:  # noqa: ARG002
        """The bytes of a file, None where it would take long to ask, or there is no answer."""
        return None

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a file. Raises OSError."""
        raise NotImplementedError


class LocalFiles(FileSystem):
    """This machine. Links to files are followed, and those to folders only where they are named themselves."""

    def kind(self, path: str) -> Kind | None:
        """A broken link is a file, and so is what we may not look at: opening it says what is wrong."""
        if not path:
            return None
        try:
            return "folder" if stat.S_ISDIR(Path(path).stat().st_mode) else "file"
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return "file" if Path(path).is_symlink() else None
        except OSError as error:
            return None if error.errno == errno.ENAMETOOLONG else "file"

    def names(self, folder: str) -> list[str]:
        """Without pipes, devices and links to folders."""
        with os.scandir(folder or ".") as entries:
            return sorted(filter(None, map(_name, entries)))

    def key(self, path: str) -> str:
        """The path without links."""
        return os.path.realpath(path)

    def size(self, path: str) -> int | None:
        """0 where there is no such file any more."""
        try:
            found = Path(path).stat()
        except OSError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file itself."""
        file = Path(path)
        if file.is_symlink() and not file.exists():
            raise FileNotFoundError(errno.ENOENT, f"a broken link, to {os.readlink(path)}")  # noqa: PTH115
        return file.open("rb")


def _name(entry: os.DirEntry[str]) -> str:
    """The name as ``FileSystem.names`` has it; none for what is not to be read: pipes, devices, links to folders."""
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/"
    broken = entry.is_symlink() and not Path(entry.path).exists()
    return entry.name if broken or entry.is_file() else ""


class RemoteFiles(FileSystem):
    """What fsspec opens."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def kind(self, path: str) -> Kind | None:
        """What the store says; its library may raise anything."""
        if not path.endswith("/") and self._files.isfile(path):
            return "file"
        return "folder" if self._files.isdir(path) else None

    def names(self, folder: str) -> list[str]:
        """What the store lists."""
        own = folder.rstrip("/")
        with as_os_error():
            entries = self._files.ls(own, detail=True)
            self._files.invalidate_cache(own)  # it would keep the listings of a whole corpus
        # Some stores keep a folder as an empty file of its own name.
        found = {
            entry["name"].rstrip("/").rsplit("/", 1)[-1] + "/" * (entry["type"] == "directory")
            for entry in entries
            if entry["name"].rstrip("/") != own
        }
        return sorted(found)

    def key(self, path: str) -> str:
        """The whole address."""
        return str(self._files.unstrip_protocol(path)).rstrip("/")

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file, read ahead in parts."""
        with as_os_error():
            opened: AbstractContextManager[BinaryIO] = self._files.open(path, "rb")
        return opened


class StandardInput(FileSystem):
    """Standard input."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002
        """The stream, which stays open."""
        return nullcontext(self._stream)


def is_address(name: str) -> bool:
    """Whether it is an address and no path."""
    return bool(_ADDRESS.match(name))


def is_far(name: str) -> bool:
    """Whether it is an address of another machine."""
    return is_address(name) and not name.lower().startswith("file:")


def is_web(name: str) -> bool:
    """Whether it is an address of the web."""
    return name.lower().startswith(("http://", "https://"))


def filesystem_of(name: str) -> tuple[FileSystem, str]:
    """Where the path or address lies, and its path there.

    Raises:
        UsageError: nothing is known that opens such an address.
        InputError: it can't be reached.
    """
    if not is_address(name):
        return LocalFiles(), name
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(name)
    except ImportError as error:
        raise UsageError(f"{name} can't be opened: {error}", hint="Install what it names, and try again.") from None
    except ValueError as error:
        raise UsageError(
            f"{name} can't be opened: {error}", hint="Addresses are s3://, gs://, hdfs://, https:// and the like."
        ) from None
    except Exception as error:
        raise unreachable(name, error) from None
    if "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
        return LocalFiles(), path
    return RemoteFiles(files), path


def unreachable(name: str, error: Exception) -> InputError:
    """The error of an address whose store does not answer, or not to us."""
    return InputError(
        f"{name} can't be reached ({reason(error)})",
        hint="Is the address right, and are you allowed to read there?",
    )
