"""How a corpus was read: what stands beside its figures, so that they can be trusted and had again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class About:
    """The facts of a run, as they are shown.

    ``backend`` is how the model ran (``native`` or ``hosted``), ``inputs`` the files, folders and addresses as
    they were given. ``check`` says in words how the weights compare with the model's own, and ``passed`` is None
    where they were not compared. ``options`` and ``versions`` are names and values; ``seconds`` the time that it took.
    """

    model: str
    backend: str
    dtype: str
    inputs: tuple[str, ...] = ()
    revision: str = ""
    device: str = "cpu"
    check: str = "not made"
    passed: bool | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
