"""Rotary positions as configs say them: in ``rope_parameters`` today, in ``rope_theta`` and ``rope_scaling`` before.

transformers 5 writes all of it into ``rope_parameters``, one for the model or one for each type of layer; on the Hub
most configs have the older form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.config import Config
from attnviz.model.spec import Dynamic, Linear, Llama3, LongRope, Rotary, Yarn

_KNOWN = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "yarn": ("factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
             "mscale_all_dim", "truncate"),
    "longrope": ("factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"),
}  # fmt: skip


def rotary(
    config: Config,
    head_size: int,
    *,
    theta: float = 10_000.0,
    partial: float = 1.0,
    kind: str | None = None,
    interleaved: bool = False,
) -> Rotary:
    """The rotary positions of heads of ``head_size``, of layers of type ``kind`` where these differ.

    ``theta`` and ``partial`` (the part of each head that turns) are the family's defaults.
    """
    said = dict(config.get("rope_parameters", None) or config.get("rope_scaling", None) or {})
    if kind is not None and any(isinstance(value, Mapping) for value in said.values()):
        said = dict(said.get(kind) or {})
    base = said.pop("rope_theta", None) or config.number("rope_theta", theta)
    part = said.pop("partial_rotary_factor", None) or config.number("partial_rotary_factor", partial)
    older = said.pop("type", "default")
    name = {"su": "longrope"}.get(older, older) if "rope_type" not in said else said.pop("rope_type")
    if name not in _KNOWN:
        raise UnsupportedModel(f"config.json: rope_type is {name!r}; our forward pass knows {', '.join(_KNOWN)}")
    unknown = {key for key, value in said.items() if value is not None} - set(_KNOWN[name])
    if unknown - {"factor", "original_max_position_embeddings"}:
        raise UnsupportedModel(f"config.json: {name} rotary scaling with {', '.join(sorted(unknown))}")
    size = int(head_size * part)
    if size < 2 or size % 2:
        raise UnsupportedModel(f"config.json: {size} of {head_size} dimensions turn, expected an even number")
    longest = config.get("max_position_embeddings", 2048)
    original = config.get("original_max_position_embeddings", None) if name in ("llama3", "yarn", "longrope") else None
    said.setdefault("original_max_position_embeddings", longest)
    if original:
        said["original_max_position_embeddings"] = original
    return Rotary(float(base), size, interleaved, _scaling(name, said, longest))


def _scaling(name: str, said: Mapping[str, Any], longest: int) -> Linear | Dynamic | Llama3 | Yarn | LongRope | None:
    original = said["original_max_position_embeddings"]
    factor = said.get("factor") or longest / original
    try:
        match name:
            case "linear":
                return Linear(said["factor"])
            case "dynamic":
                return Dynamic(said["factor"], longest)
            case "llama3":
                return Llama3(said["factor"], said["low_freq_factor"], said["high_freq_factor"], original)
            case "longrope":
                return LongRope(
                    tuple(said["short_factor"]),
                    tuple(said["long_factor"]),
                    original,
                    said.get("attention_factor") or _longrope_attention(factor, original),
                )
            case "yarn":
                return Yarn(
                    factor,
                    original,
                    said.get("attention_factor") or _yarn_attention(factor, said),
                    said.get("beta_fast") or 32,
                    said.get("beta_slow") or 1,
                    said.get("truncate") is not False,
                )
    except KeyError as error:
        raise ModelError(f"config.json: {name} rotary scaling without {error.args[0]}") from None
    return None


def _longrope_attention(factor: float, original: int) -> float:
    return 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))


def _yarn_attention(factor: float, said: Mapping[str, Any]) -> float:
    def scale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1

    mscale, everywhere = said.get("mscale"), said.get("mscale_all_dim")
    return scale(mscale) / scale(everywhere) if mscale and everywhere else scale(1)
