"""What is free, as Linux, control groups and limits say; sizes in words and back; and the refusals."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from attnviz.attention.memory import free_memory, in_words, parse_size
from attnviz.errors import UsageError

KILO = 1024


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("500MB", 500_000_000),
        ("4GB", 4_000_000_000),
        ("4GiB", 4 * 2**30),
        ("2e9", 2_000_000_000),
        (" 1.5 gb ", 1_500_000_000),
        ("8k", 8_000),
        ("10b", 10),
        ("1TiB", 2**40),
    ],
)
def test_sizes_are_read(said: str, size: int) -> None:
    assert parse_size(said) == size


@pytest.mark.parametrize("said", ["", "much", "4XB", "-4GB", "0", "0.1", "nan", "inf", "1e99", "1e999", ".", "4 GB 5"])
def test_what_is_no_size_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="expected a size such as 500MB, 4GB, 4GiB or 2e9"):
        parse_size(said)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (10**16, "10,000 TB"),
    ],
)
def test_sizes_are_said(size: int, said: str) -> None:
    assert in_words(size) == said


# What is free


def linux(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n"}


def test_what_linux_has_available_is_free(tmp_path: Path) -> None:
    assert free_memory(root=linux(tmp_path, MEMINFO)) == 5000 * KILO


def test_where_nothing_says_so_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_memory(root=tmp_path) is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert free_memory() is None


def test_a_control_group_of_a_parent_limits_too(tmp_path: Path) -> None:
    """Files that it holds can be read again: they do not count as taken."""
    groups = {
        "proc/self/cgroup": "0::/user/job\n",
        "sys/fs/cgroup/user/memory.max": "3000000\n",
        "sys/fs/cgroup/user/memory.current": "1000000\n",
        "sys/fs/cgroup/user/memory.stat": "anon 1\nactive_file 100\ninactive_file 20\n",
        "sys/fs/cgroup/user/job/memory.max": "max\n",
        "sys/fs/cgroup/user/job/memory.current": "900000\n",
    }
    assert free_memory(root=linux(tmp_path, MEMINFO | groups)) == 2_000_120


def test_a_control_group_of_the_first_version_limits_too(tmp_path: Path) -> None:
    """In a container its path is the host's, and the limit stands at the top."""
    groups = {
        "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/0123\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n",
    }
    assert free_memory(root=linux(tmp_path, MEMINFO | groups)) == 1_500_000


@pytest.mark.parametrize(("limit", "name"), [("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")])
def test_the_limits_of_the_process_count(
    limit: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = resource.RLIM_INFINITY
    said = {getattr(resource, limit): (3000 * KILO, none)}
    monkeypatch.setattr(resource, "getrlimit", lambda which: said.get(which, (none, none)))
    root = linux(tmp_path, MEMINFO | {"proc/self/status": f"Name:\tpython\n{name}:\t    1000 kB\n"})
    assert free_memory(root=root) == 2000 * KILO
