"""Groups of options, as dataclasses, that commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


@functools.cache
def _parameters(group: Any) -> list[inspect.Parameter]:
    """Return the fields of a group as parameters; cached, since it takes milliseconds of a command's start."""
    types = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name]
        )
        for field in fields(group)
    ]


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameters of ``command`` that are groups of options by the groups' fields."""
    types = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(types[name]):
            parameters += _parameters(types[name])
        else:
            parameters.append(parameter.replace(annotation=types[name]))

    @functools.wraps(command)
    def spread_out(**given: Any) -> None:
        groups = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            for name, kind in types.items()
            if is_dataclass(kind) and isinstance(kind, type)
        }
        command(**given, **groups)

    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_out.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread_out
