"""Read rotary positions from a config: ``rope_parameters`` today, ``rope_theta`` and ``rope_scaling`` before.

transformers 5 writes ``rope_parameters``, one for the model or one for each type of layer; most configs on the Hub have
the older form. If a config has both, transformers follows the older one, and so does attnviz.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from attnviz.checkpoint.config_limits import require_sizes
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.config import Config, read_number
from attnviz.model.architecture.spec import Dynamic, Linear, Llama3, LongRope, Proportional, Rotary, Temperature, Yarn

_KNOWN = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    "longrope": ("factor", "attention_factor", "short_factor", "long_factor"),
    "proportional": ("factor",),
}  # fmt: skip
# Attributes that configs have even if their scaling does not use them; or that are of positions in pictures: of a text
# all three are the same.
_IDLE = ("factor", "original_max_position_embeddings", "mrope_section", "mrope_interleaved")


def rotary(
    config: Config,
    head_size: int,
    *,
    theta: float = 10_000.0,
    theta_name: str = "rope_theta",
    partial: float | None = None,
    longest: int = 2048,
    original: int | None = None,
    kind: str | None = None,
    scaled: bool = True,
    interleaved: bool = False,
    spellings: dict[str, str] | None = None,
    magnitudes: bool = False,
    last: bool = False,
    alpha: bool = False,
    beside: Collection[str] = (),
    proportional: bool = False,
) -> Rotary:
    """Return the rotary positions for heads of ``head_size``.

    Args:
        config: the config.
        head_size: the size of a head.
        theta: the family's default base.
        theta_name: the older attribute for the base.
        partial: the default fraction of each head that rotates; None if the family can only rotate whole heads.
        longest: the family's default of ``max_position_embeddings``.
        original: the family's default of ``original_max_position_embeddings``, if it has one outside the scaling.
        kind: the type of layer, if the types differ.
        scaled: whether the older ``rope_scaling`` applies to these layers.
        interleaved: whether neighbouring dimensions form pairs.
        spellings: other names that the family uses for scalings.
        magnitudes: whether LongRoPE says its attention factor as ``short_mscale`` and ``long_mscale``.
        last: whether the rotated dimensions are the last.
        alpha: whether "dynamic" scaling with an ``alpha`` only makes the base larger, whatever the length of a text.
        beside: names of settings that do not concern the rotation.
        proportional: whether "proportional" is known, where whole heads rotate and most dimensions by no angle.
    """
    said = {key: value for key, value in _said(config, kind, scaled).items() if key not in beside}
    base = _number(said, "rope_theta", config.number(theta_name, theta), above=1)
    part = _number(said, "partial_rotary_factor", config.number("partial_rotary_factor", partial or 1.0))
    older = str(said.pop("type", None) or "default")
    name = str(said.pop("rope_type", None) or older)
    name = ({"mrope": "default"} | (spellings or {})).get(name, name)
    known = [one for one in _KNOWN if proportional or one != "proportional"]
    if name not in known:
        raise UnsupportedModel(f"config.json: rope_type is {short(name)}; our forward pass knows {', '.join(known)}")
    if magnitudes and name == "longrope":
        near, far = (_number(said, which) for which in ("short_mscale", "long_mscale"))
        if near != far:
            raise UnsupportedModel(f"config.json: short_mscale is {near:g}, long_mscale {far:g}")
        said["attention_factor"] = near
    grown = _number(said, "alpha", 0) if alpha and name == "dynamic" else 0
    if grown:
        name, said = "default", {}
    unknown = {key for key, value in said.items() if value is not None} - {*_KNOWN[name], *_IDLE}
    if kind is not None and said.get("truncate") is False:  # transformers does not read it there, and truncates
        unknown.add("truncate")
    if unknown:
        raise UnsupportedModel(f"config.json: {name} rotary scaling with {', '.join(sorted(unknown))}")
    if name == "proportional":
        scaling = Proportional(int(part * head_size // 2), _positive(said, "factor", 1.0))
        return Rotary(base, head_size, interleaved, scaling, last)
    size = int(head_size * part)
    if not 2 <= size <= head_size or size % 2 or (partial is None and size < head_size):
        raise UnsupportedModel(f"config.json: {size} of {head_size} dimensions turn")
    if grown:
        base *= grown ** (size / (size - 2))
    longest = config.size("max_position_embeddings", longest)
    outside = config.optional("original_max_position_embeddings", original)
    if outside and kind is None:  # transformers prefers it to the scaling's own
        said["original_max_position_embeddings"] = outside
    return Rotary(base, size, interleaved, _scaling(name, said, longest, size), last)


def _said(config: Config, kind: str | None, scaled: bool) -> dict[str, Any]:
    """Return the config's rotary settings for layers of type ``kind``."""
    older, newer = (_mapping(config, name) for name in ("rope_scaling", "rope_parameters"))
    if kind is None:
        return dict(older or newer)
    if newer and not any(isinstance(value, Mapping) for value in newer.values()):
        raise UnsupportedModel(f"config.json: rope_parameters says nothing of layers of type {kind}")
    own = older.get(kind) or newer.get(kind) or {}
    return {**own, **older} if scaled and kind not in older else dict(own)


def _mapping(config: Config, name: str) -> Mapping[str, Any]:
    value = config.get(name, {})
    if not isinstance(value, Mapping):
        raise ModelError(f"config.json: {name} is {short(value)}, expected names and values")
    return value


def _number(said: dict[str, Any], name: str, default: float | None = None, above: float | None = None) -> float:
    """Remove the number ``name`` from the settings, and return it."""
    value = said.pop(name, None)
    return read_number(f"{name} of the rotary positions", default if value is None else value, above)


def _positive(said: dict[str, Any], name: str, default: float | None = None) -> float:
    return _number(said, name, default, above=0)


def _original(said: dict[str, Any], longest: int) -> int:
    """Remove the length for which the model was trained at first from the settings, and return it."""
    original = max(1, int(_positive(said, "original_max_position_embeddings", longest)))
    require_sizes({"original_max_position_embeddings": original})
    return original


def _factors(said: dict[str, Any], name: str, count: int) -> tuple[float, ...]:
    value = said.get(name)
    if (
        not isinstance(value, list | tuple)
        or not all(isinstance(one, int | float) for one in value)
        or len(value) != count
    ):
        raise ModelError(f"config.json: {name} of the rotary positions is {short(value)}, expected {count} numbers")
    return tuple(float(one) for one in value)


def _scaling(
    name: str, said: dict[str, Any], longest: int, size: int
) -> Linear | Dynamic | Llama3 | Yarn | LongRope | None:
    original = _original(said, longest)
    match name:
        case "linear":
            return Linear(_positive(said, "factor"))
        case "dynamic":
            if size == 2:
                raise UnsupportedModel("config.json: dynamic rotary scaling of 2 dimensions has no base")
            return Dynamic(_positive(said, "factor"), longest)
        case "llama3":
            low, high = _positive(said, "low_freq_factor"), _positive(said, "high_freq_factor")
            return Llama3(_positive(said, "factor"), low, high, original)
        case "longrope":
            factor = _positive(said, "factor", longest / original)
            attention = _number(said, "attention_factor", _longrope_attention(factor, original))
            short, long = (_factors(said, which, size // 2) for which in ("short_factor", "long_factor"))
            return LongRope(short, long, original, attention)
        case "yarn":
            factor = _positive(said, "factor", longest / original)
            attention = _number(said, "attention_factor", _yarn_attention(factor, said))
            fast, slow = (
                _positive({name: said.get(name) or usual}, name)
                for name, usual in (("beta_fast", 32), ("beta_slow", 1))
            )
            return Yarn(factor, original, attention, fast, slow, said.get("truncate") is not False)
    return None


def _longrope_attention(factor: float, original: int) -> float:
    return 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))


def yarn_scale(config: Config) -> float:
    """The factor of all scores with YaRN that says ``mscale_all_dim``, as in DeepSeek's models."""
    said = _said(config, None, scaled=True)
    everywhere = _number(said, "mscale_all_dim", 0)
    return _yarn_magnitude(_positive(said, "factor", 1), everywhere) ** 2 if everywhere else 1.0


def temperature(config: Config) -> Temperature:
    """The factor of queries, of which the rotary settings say how it grows with the position (Ministral 3)."""
    said = _said(config, None, scaled=True)
    original = _original(said, config.size("max_position_embeddings"))
    return Temperature(_number(said, "llama_4_scaling_beta"), original)


def _yarn_magnitude(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1


def _yarn_attention(factor: float, said: dict[str, Any]) -> float:
    mscale, everywhere = _number(said, "mscale", 0), _number(said, "mscale_all_dim", 0)
    if mscale and everywhere:
        return _yarn_magnitude(factor, mscale) / _yarn_magnitude(factor, everywhere)
    return _yarn_magnitude(factor, 1)
