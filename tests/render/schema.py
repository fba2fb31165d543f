"""The JSON document of ``attnviz show --json``, as a JSON schema: its names are promised to stay."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

INDEX = {"type": "integer", "minimum": 0}
COUNT = {"type": "integer", "minimum": 1}
TEXT = {"type": "string"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1.000001}


def object_of(**properties: Any) -> dict[str, Any]:
    """An object of just these names."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: dict[str, Any], **limits: Any) -> dict[str, Any]:
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
_LINK = object_of(**_ENDS)
_PLACE = object_of(line=COUNT, page={"type": ["integer", "null"], "minimum": 1}, before=TEXT, word=TEXT, after=TEXT)
_LONG_RANGE_LINK = object_of(**_ENDS, distance=COUNT, query_place=_PLACE, key_place=_PLACE)

_LOOKS = {"best": list_of(_LINK), "average": list_of(object_of(key=TEXT, key_index=INDEX, weight=SHARE))}
_TEXT = {
    "text": TEXT,
    "pair": {"type": ["string", "null"]},
    "tokens": list_of(TEXT, minItems=1),
    "words": list_of(TEXT, minItems=1),
    "word_spans": list_of(list_of(INDEX, minItems=2, maxItems=2), minItems=1),
    "dropped_tokens": INDEX,
}

_MAP = {"enum": ["self", "encoder", "decoder", "cross"]}
_HEAD = {"type": ["integer", "null"], "minimum": 0}
_APART = {"type": ["number", "null"], "minimum": 0}
_CHECK = object_of(
    passed={"type": "boolean"},
    max_abs_diff=_APART,
    tolerance={"type": "number", "exclusiveMinimum": 0},
    compared={"enum": ["weights", "hidden states"]},
    against={"enum": ["eager", "sdpa"]},
    of={"enum": ["what is shown", "another run"]},
    inputs=object_of(differs={"type": ["string", "null"]}, unknown={"type": ["string", "null"]}),
    worst=object_of(map=_MAP, layer=INDEX, head=_HEAD),
    dtype={"enum": ["float32", "float64", "bfloat16", "float16"]},
    heads=INDEX,
    rows={"type": "object", "propertyNames": _MAP, "additionalProperties": object_of(compared=COUNT, total=COUNT)},
    layers=list_of(
        object_of(
            map=_MAP,
            layer=INDEX,
            max_abs_diff=_APART,
            mean_abs_diff=_APART,
            worst_head=_HEAD,
            hidden_abs_diff=_APART,
        ),
        minItems=1,
    ),
    recomputed={
        "anyOf": [
            {"type": "null"},
            object_of(
                passed={"type": "boolean"},
                heads=INDEX,
                total=COUNT,
                windows={"anyOf": [{"type": "null"}, object_of(read=COUNT, rows=COUNT, total=COUNT)]},
                apart=_APART,
                what_differs_most={"type": "string"},
            ),
        ]
    },
    rounding={
        "anyOf": [
            {"type": "null"},
            object_of(times=_APART, bound={"type": "number"}, worst=object_of(map=_MAP, layer=INDEX, head=_HEAD)),
        ]
    },
    wider={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/check"}]},
    written={
        "anyOf": [
            {"type": "null"},
            object_of(
                passed={"type": "boolean"},
                by={"enum": ["attnviz", "transformers"]},
                compared=COUNT,
                differ=list_of(
                    object_of(
                        place=INDEX,
                        ours=INDEX,
                        theirs={"anyOf": [{"type": "null"}, INDEX]},
                        apart=_APART,
                        explained=_APART,
                    )
                ),
            ),
        ]
    },
)

SCHEMA = object_of(
    model=TEXT,
    backend={"enum": ["native", "hosted", "observed"]},
    note={"type": ["string", "null"], "minLength": 1},
    layers=COUNT,
    heads=COUNT,
    layer_numbers=list_of(INDEX, minItems=1, uniqueItems=True),
    map=_MAP,
    **_TEXT,
    windows=list_of(object_of(start=INDEX, stop=COUNT, first_query=INDEX, last_query=INDEX)),
    generated_tokens=INDEX,
    keys={"anyOf": [{"type": "null"}, object_of(**_TEXT)]},
    unit={"enum": ["word", "token"]},
    weights_kept={"enum": ["all", "observed"]},
    function_words=object_of(language=TEXT, known={"type": "boolean"}),
    links=list_of(_LINK),
    special_share=SHARE,
    punctuation_share=SHARE,
    positional_heads=list_of(object_of(layer=INDEX, head=INDEX, offset={"type": "integer"}, share=SHARE)),
    dominant_offset_heads=list_of(object_of(layer=INDEX, head=INDEX, offset={"type": "integer"}, share=SHARE)),
    overview=object_of(
        cell={"enum": ["link", "entropy", "sink", "distance"]},
        values=list_of(list_of({"type": ["number", "null"], "minimum": 0}, minItems=1), minItems=1),
    ),
    maps=list_of(
        object_of(
            layer=INDEX,
            head={"anyOf": [INDEX, {"const": "mean"}]},
            indices={"anyOf": [{"type": "null"}, list_of(INDEX)]},
            query_indices=list_of(INDEX, minItems=1),
            key_indices=list_of(INDEX, minItems=1),
            down=COUNT,
            across=COUNT,
            weights=list_of(list_of(SHARE)),
        ),
        minItems=1,
    ),
    top_attended=list_of(
        object_of(
            query=TEXT,
            query_index=INDEX,
            **_LOOKS,
        )
    ),
    long_range_links=list_of(
        object_of(near=COUNT, far={"type": ["integer", "null"], "minimum": 2}, links=list_of(_LONG_RANGE_LINK))
    ),
    distance_profile={
        "anyOf": [
            {"type": "null"},
            object_of(
                edges=list_of(COUNT, minItems=1),
                first=list_of(SHARE, minItems=1),
                shares=list_of(list_of(SHARE, minItems=2), minItems=1),
            ),
        ]
    },
    received=list_of(
        object_of(
            number=COUNT,
            line=COUNT,
            start=INDEX,
            stop=COUNT,
            text=TEXT,
            received={"type": ["number", "null"], "minimum": 0},
        )
    ),
    generated=list_of(object_of(token=TEXT, token_index=COUNT, **_LOOKS)),
    check={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/check"}]},
) | {"$defs": {"check": _CHECK}}


def validate(document: Any) -> None:
    """Raise for the first thing in ``document`` that the schema does not allow."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(document)
