"""What attnviz would do with a checkpoint, and why: what ``attnviz models`` says."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from attnviz.checkpoint import Checkpoint
from attnviz.model import families
from attnviz.model.describe import TIED, describe
from attnviz.model.ways import why_hosted


@dataclass(frozen=True)
class Plan:
    """How a checkpoint is run. ``reason`` says why it is not native, ``facts`` what the model is made of."""

    name: str
    model_type: str
    way: Literal["native", "hosted", "not at all"]
    reason: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """A family: its model type, the types that are the same but for their configuration, and a word on it."""

    name: str
    aliases: tuple[str, ...]
    about: str


def plan(checkpoint: Checkpoint) -> Plan:
    """How ``checkpoint`` would be run.

    Raises:
        ModelError: its config is damaged.
    """
    kind = str(checkpoint.config.get("model_type"))
    reason = why_hosted(checkpoint)
    if not reason:
        family = families.find_family(checkpoint.config)
        facts = describe(family.spec(checkpoint.config))
        if "head" in facts and _is_tied(family, checkpoint):
            facts["head"] = TIED
        return Plan(checkpoint.name, kind, "native", "a family file says all that its config asks for", facts)
    from attnviz.model.hosted import hostable

    against = hostable(checkpoint.config)
    facts = _from_config(checkpoint)
    if against:
        return Plan(
            checkpoint.name,
            kind,
            "not at all",
            f"{reason}; {against}. {families.near_miss(checkpoint.config)}".strip(),
            facts,
        )
    return Plan(checkpoint.name, kind, "hosted", reason, facts)


def _is_tied(family: families.Family, checkpoint: Checkpoint) -> bool:
    """Whether the head is the token vectors because the checkpoint has no other (T5, whose configs do not say)."""
    stored = {family.plain(name) for name in checkpoint.shapes()}
    found = [ours for theirs, ours in family.names.items() if "head.weight" in ours and theirs in stored]
    return bool(found) and "embed.tokens.weight" in found[0]


_SAID = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "key-value heads": ("num_key_value_heads",),
    "width": ("hidden_size", "d_model", "n_embd", "dim"),
    "window": ("sliding_window",),
    "experts": ("num_local_experts", "n_routed_experts", "num_experts"),
    "vocabulary": ("vocab_size",),
    "limit": ("max_position_embeddings", "n_positions", "max_seq_len"),
}
"""What configs call the same fact."""


def _from_config(checkpoint: Checkpoint) -> dict[str, str]:
    """The facts that the config says of itself, where no family file reads it."""
    config: Mapping[str, Any] = checkpoint.config.get("text_config") or checkpoint.config
    facts = {}
    for fact, names in _SAID.items():
        value = next((config[name] for name in names if isinstance(config.get(name), int)), None)
        if value is not None:
            facts[fact] = f"{value:,}"
    count = sum(math.prod(shape) for shape in checkpoint.shapes().values())
    return facts | ({"parameters": f"{count:,}"} if count else {})


def rows() -> list[Row]:
    """The families, each with its aliases and the first sentence of its file."""
    found = []
    for name in families.FAMILIES:
        module = importlib.import_module(f"{families.__name__}.{families.module_name(name)}")
        about = " ".join((module.__doc__ or "").partition("\n\n")[0].split()).replace("``", "")
        aliases = tuple(sorted(alias for alias, family in families.ALIASES.items() if family == name))
        found.append(Row(name, aliases, about.rstrip(".")))
    return found
