"""What attnviz writes, held to the schemas of the package, and to no name beyond theirs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from attnviz.record import schemas


def validate(document: Any, name: str = "show") -> None:
    """Raise for the first thing in ``document`` that the schema does not allow."""
    _validator(name).validate(document)


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads(schemas.schema_text(name))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """The schema with objects of no other names than it says: readers may meet new ones, our tests may not."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "$ref" not in schema and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
