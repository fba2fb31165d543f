"""``attnviz models``: list what attnviz runs, or describe how it would run a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from attnviz.cli import console
from attnviz.cli.flags import with_flags
from attnviz.cli.options import ModelOptions
from attnviz.errors import ModelError


def models(
    path: Annotated[
        str | None,
        typer.Argument(metavar="[PATH]", help="A folder, a GGUF file or a Hub id; without one, the supported models."),
    ] = None,
    gguf: Annotated[str | None, typer.Option(metavar="FILE", help="A GGUF file, alone or in PATH.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let a model run code that it brings along.")
    ] = False,
) -> None:
    """List the families that attnviz runs, or say how it would run a checkpoint, and why."""
    from attnviz.model.toured import read_tour
    from attnviz.render.terminal import models as tables

    out = console.output()
    if path is None and gguf is None:
        from attnviz.model.listing import list_families

        out.print(tables.families_table(list_families(), read_tour()))
        return
    from attnviz.model import overview

    try:
        loaded = ModelOptions(path or "default", revision, gguf, trust_remote_code=trust_remote_code).load()
    except ModelError as error:
        error.hint = "\n".join(filter(None, (error.hint, read_tour().of(path or ""))))
        raise
    found = overview.overview(loaded.checkpoint, loaded.options)
    reason = with_flags(found.reason, {"trust_remote_code": "--trust-remote-code"})
    out.print(tables.overview_table(replace(found, reason=reason)))
