"""``attnviz schema``: print the JSON schemas of what attnviz writes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from attnviz.cli import completion, console, streams
from attnviz.cli.commands import nearest


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[show|answer|batch|run|cost|record]",
            help="Which document; without it, all are listed.",
            autocompletion=completion.complete_schema,
        ),
    ] = None,
) -> None:
    """Print the JSON schema of what show, find, cost, batch or export writes."""
    from attnviz.record import schemas

    if name is None:
        for each, version in schemas.VERSIONS.items():
            console.output().print(f"{each:8} version {version}  {json.loads(schemas.schema_text(each))['title']}")
        return
    streams.put(
        schemas.schema_text(
            nearest(name, {each: each for each in schemas.VERSIONS}, "schema", "attnviz schema")
        ).encode()
    )
