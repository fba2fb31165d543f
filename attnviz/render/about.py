"""How a corpus was analysed: the facts that stand beside its figures, so that they can be trusted and reproduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class About:
    """The facts of a run, as they are shown.

    Args:
        model: the model's name.
        backend: how the model ran, ``native``, ``hosted`` or ``observed``.
        dtype: the type of its numbers.
        inputs: the files, folders and addresses as they were given.
        revision: the model's commit.
        device: the device.
        check: how the weights compare with the model's own, in words.
        passed: whether they agree; None if they were not compared.
        options: the options by name.
        versions: the versions of packages by name.
        started: when the run began.
        seconds: how long it took.
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
