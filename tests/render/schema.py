"""The JSON document of ``attnviz show --json``, as a JSON schema: its names are promised to stay."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

INDEX = {"type": "integer", "minimum": 0}
COUNT = {"type": "integer", "minimum": 1}
TEXT = {"type": "string"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1.000001}


def _object(**properties: Any) -> dict[str, Any]:
    """An object of just these names."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any], **limits: Any) -> dict[str, Any]:
    return {"type": "array", "items": items} | limits


_ENDS = {
    "layer": INDEX,
    "head": INDEX,
    "query": TEXT,
    "key": TEXT,
    "query_index": INDEX,
    "key_index": INDEX,
    "weight": SHARE,
}
_LINK = _object(**_ENDS)
_PLACE = _object(line=COUNT, page={"type": ["integer", "null"], "minimum": 1}, before=TEXT, word=TEXT, after=TEXT)
_FAR_LINK = _object(**_ENDS, distance=COUNT, query_place=_PLACE, key_place=_PLACE)

_LOOKS = {"best": _list(_LINK), "average": _list(_object(key=TEXT, key_index=INDEX, weight=SHARE))}
_TEXT = {
    "text": TEXT,
    "pair": {"type": ["string", "null"]},
    "tokens": _list(TEXT, minItems=1),
    "words": _list(TEXT, minItems=1),
    "word_spans": _list(_list(INDEX, minItems=2, maxItems=2), minItems=1),
    "dropped_tokens": INDEX,
}

_MAP = {"enum": ["self", "encoder", "decoder", "cross"]}
_HEAD = {"type": ["integer", "null"], "minimum": 0}
_APART = {"type": ["number", "null"], "minimum": 0}
_CHECK = _object(
    passed={"type": "boolean"},
    max_abs_diff=_APART,
    tolerance={"type": "number", "exclusiveMinimum": 0},
    compared={"enum": ["weights", "hidden states"]},
    against={"enum": ["eager", "sdpa"]},
    worst=_object(map=_MAP, layer=INDEX, head=_HEAD),
    dtype={"enum": ["float32", "float64", "bfloat16", "float16"]},
    rows={
        "type": ["object", "null"],
        "propertyNames": _MAP,
        "additionalProperties": _object(compared=COUNT, total=COUNT),
    },
    layers=_list(
        _object(
            map=_MAP,
            layer=INDEX,
            max_abs_diff=_APART,
            mean_abs_diff=_APART,
            worst_head=_HEAD,
            hidden_abs_diff=_APART,
        ),
        minItems=1,
    ),
    float64={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/check"}]},
)

SCHEMA = _object(
    model=TEXT,
    path={"enum": ["native", "hosted"]},
    layers=COUNT,
    heads=COUNT,
    layer_numbers=_list(INDEX, minItems=1, uniqueItems=True),
    map=_MAP,
    **_TEXT,
    windows=_list(_object(start=INDEX, stop=COUNT, first_query=INDEX, last_query=INDEX)),
    generated_tokens=INDEX,
    keys={"anyOf": [{"type": "null"}, _object(**_TEXT)]},
    unit={"enum": ["word", "token"]},
    weights_kept={"enum": ["all", "observed"]},
    links=_list(_LINK),
    special_share=SHARE,
    punctuation_share=SHARE,
    positional_heads=_list(_object(layer=INDEX, head=INDEX, offset={"type": "integer"}, share=SHARE)),
    habitual_heads=_list(_object(layer=INDEX, head=INDEX, offset={"type": "integer"}, share=SHARE)),
    overview=_object(
        cell={"enum": ["link", "entropy", "sink", "distance"]},
        values=_list(_list({"type": ["number", "null"], "minimum": 0}, minItems=1), minItems=1),
    ),
    maps=_list(
        _object(
            layer=INDEX,
            head={"anyOf": [INDEX, {"const": "mean"}]},
            indices={"anyOf": [{"type": "null"}, _list(INDEX)]},
            query_indices=_list(INDEX, minItems=1),
            key_indices=_list(INDEX, minItems=1),
            down=COUNT,
            across=COUNT,
            weights=_list(_list(SHARE)),
        ),
        minItems=1,
    ),
    top_attended=_list(
        _object(
            query=TEXT,
            query_index=INDEX,
            **_LOOKS,
        )
    ),
    far_links=_list(_object(near=COUNT, far={"type": ["integer", "null"], "minimum": 2}, links=_list(_FAR_LINK))),
    distance_profile={
        "anyOf": [
            {"type": "null"},
            _object(
                edges=_list(COUNT, minItems=1),
                first=_list(SHARE, minItems=1),
                shares=_list(_list(SHARE, minItems=2), minItems=1),
            ),
        ]
    },
    received=_list(
        _object(
            number=COUNT,
            line=COUNT,
            start=INDEX,
            stop=COUNT,
            text=TEXT,
            received={"type": ["number", "null"], "minimum": 0},
        )
    ),
    generated=_list(_object(token=TEXT, token_index=COUNT, **_LOOKS)),
    check={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/check"}]},
) | {"$defs": {"check": _CHECK}}


def validate(document: Any) -> None:
    """Raise for the first thing in ``document`` that the schema does not allow."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(document)
