"""Paths and addresses (``s3://``, ``hf://``, ``https://`` and the like), and the file systems that they lie in."""

from __future__ import annotations

import os
import re

from attnviz.batch.storage.filesystem import FileSystem
from attnviz.batch.storage.local import LocalFiles
from attnviz.batch.storage.remote import RemoteFiles
from attnviz.errors import UsageError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_address(name: str) -> bool:
    """Whether it is an address and no path."""
    return bool(_ADDRESS.match(name))


def is_remote(name: str) -> bool:
    """Whether it is an address of another machine."""
    return is_address(name) and not name.lower().startswith("file:")


def is_web(name: str) -> bool:
    """Whether it is an address of the web."""
    return name.lower().startswith(("http://", "https://"))


def file_system_of(name: str) -> tuple[FileSystem, str]:
    """The file system in which a path or an address lies, and its path there; ``~`` is the home folder.

    Raises:
        UsageError: nothing that is installed opens such an address.
        OSError: the file system can't be reached.
    """
    if not is_address(name):
        # A path that exists is meant as it is; pathlib's expanduser raises for an unknown user.
        return LocalFiles(), name if os.path.lexists(name) else os.path.expanduser(name)  # noqa: PTH111
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, path = url_to_fs(name)
    except ImportError as error:
        raise UsageError(f"{name} can't be opened: {error}", hint="Install what it names, and try again.") from None
    except ValueError as error:
        raise UsageError(
            f"{name} can't be opened: {error}",
            hint="Addresses are s3://, gs://, hdfs://, hf://, https:// and the like.",
        ) from None
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error
    return (LocalFiles() if isinstance(files, LocalFileSystem) else RemoteFiles(files)), path
