"""Memory that is foreseen: what is free, what a limit in words means, and the refusal of what does not fit."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attnviz.errors import InputError, UsageError

SHARE = 4
"""The weights of all heads may take one part in this many of free memory, unless the caller says how much."""

_UNITS = {"": 1} | {
    prefix + ending: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for ending, base in (("", 1000), ("b", 1000), ("ib", 1024))
} | {"b": 1}  # fmt: skip
# What a control group calls its limit, what it holds, and the part of that which files can be read again for.
_GROUPS = {
    "v2": ("sys/fs/cgroup", "memory.max", "memory.current", ("active_file", "inactive_file")),
    "v1": (
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_active_file", "total_inactive_file"),
    ),
}


def parse_size(value: str) -> int:
    """The bytes that ``500MB``, ``4GB`` (10⁹ each), ``4GiB`` (2³⁰ each) or ``2e9`` are.

    Raises:
        UsageError: it is no such size, or none above zero.
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]{1,2})?)\s*([a-z]*)\s*", value.lower())
    try:
        size = float(found[1]) * _UNITS[found[2]] if found else 0.0
    except (KeyError, ValueError):
        size = 0.0
    if not 1 <= size < 1e18:
        raise UsageError(f"`max_memory` is {value!r}, expected a size such as 500MB, 4GB, 4GiB or 2e9 (bytes)")
    return int(size)


def in_words(size: float) -> str:
    """``size`` bytes, as ``512 bytes``, ``3.4 MB`` or ``1,200 TB``: in units of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.1f} {unit}" if size < 9.95 and unit != "bytes" else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB" if size < 9.95 else f"{size:,.0f} TB"


def free_memory(device: str = "cpu", root: Path = Path("/")) -> int | None:
    """The bytes that new data may take on ``device``; None where nothing says so.

    On the CPU it is the least of what Linux has available, what the control groups of this process leave, and what its
    own limits (``ulimit -v``, ``-d``) do. ``root`` is where Linux's files are.
    """
    if device.startswith("cuda"):
        import torch

        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    if not sys.platform.startswith("linux"):
        return None
    return min(_said(root), default=None)


def _said(root: Path) -> Iterator[int]:
    """What each of those who know says is free."""
    available = re.search(r"MemAvailable:\s*(\d+) kB", _read(root / "proc/meminfo"))
    if available:
        yield int(available[1]) * 1024
    yield from _groups(root)
    yield from _limits(root)


def _groups(root: Path) -> Iterator[int]:
    """What the control groups leave: that of this process, and those that it is part of."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        folder, limit, used, files = _GROUPS["v1" if controllers else "v2"]
        top = root / folder
        group = top / path.strip("/")
        # Inside a container the path is often the host's; then the limit stands at the top.
        for place in (group, *group.parents):
            most, now = _read(place / limit).strip(), _read(place / used).strip()
            if most.isdecimal() and now.isdecimal():
                stat = dict(re.findall(r"^(\w+) (\d+)$", _read(place / "memory.stat"), re.MULTILINE))
                yield max(0, int(most) - int(now) + sum(int(stat.get(name, 0)) for name in files))
            if place == top:
                break


def _limits(root: Path) -> Iterator[int]:
    """What the limits of this process leave."""
    import resource

    taken = dict(re.findall(r"^(VmSize|VmData):\s*(\d+) kB$", _read(root / "proc/self/status"), re.MULTILINE))
    for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY and name in taken:
            yield max(0, most - int(taken[name]) * 1024)


def _read(path: Path) -> str:
    """What a file of Linux says; nothing where it is not there."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def too_large(tokens: int, what: str, taken: str, allowed: str, *, hint: str) -> InputError:
    """The error for a text of ``tokens``, of which ``what`` takes more than there is."""
    return InputError(f"the text has {tokens:,} tokens: {what} would take {taken}, and {allowed}", hint=hint)


class Room:
    """How many bytes the weights of all heads may take: ``most``, or where that is None a quarter of what is free.

    What is free is asked for once, before the first of them are kept.
    """

    def __init__(self, most: int | None, device: str = "cpu") -> None:
        free = free_memory(device)
        self._most, self._allowed = most, f"`max_memory` allows {in_words(most or 0)}"
        if free is not None and most is None:
            self._most = free // SHARE
            self._allowed = f"a quarter of the {in_words(free)} that are free is allowed"
        elif free is not None and most is not None and most > free:
            self._most, self._allowed = free, f"{in_words(free)} are free"

    def require(
        self,
        taken: int,
        tokens: int,
        *,
        whole: bool = True,
        what: str = "the weights of all its heads",
        instead: str = "show and pictures do without",
    ) -> None:
        """Raise where the weights of ``tokens``, which take ``taken`` bytes, are too many to keep.

        Args:
            whole: whether ``taken`` is all of them, or what is known so far.
            what: what is kept.
            instead: what takes less.

        Raises:
            InputError: with both numbers, and what to do.
        """
        if self._most is None or taken <= self._most:
            return
        at_least = "" if whole else "at least "
        raise too_large(
            tokens,
            what,
            f"{at_least}{in_words(taken)}",
            self._allowed,
            hint=f"Give a shorter text, or allow more with `max_memory`; {instead}.",
        )
