"""Maps of the checkpoint's names of tensors to ours that many families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Names = Mapping[str, str | tuple[str, ...]]


def both(theirs: str, *ours: str) -> dict[str, tuple[str, ...]]:
    """The names of a weight and its bias."""
    return {f"{theirs}.{last}": tuple(f"{our}.{last}" for our in ours) for last in ("weight", "bias")}


DECODER_NAMES: Names = {
    "embed_tokens.weight": "embed.tokens.weight",
    **both("layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
    **both("layers.{}.self_attn.k_proj", "layers.{}.attention.key"),
    **both("layers.{}.self_attn.v_proj", "layers.{}.attention.value"),
    **both("layers.{}.self_attn.o_proj", "layers.{}.attention.output"),
    "layers.{}.input_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.mlp.gate_proj.weight": "layers.{}.mlp.gate.weight",
    "layers.{}.mlp.up_proj.weight": "layers.{}.mlp.up.weight",
    "layers.{}.mlp.down_proj.weight": "layers.{}.mlp.down.weight",
    "layers.{}.post_attention_layernorm.weight": "layers.{}.mlp.norm.weight",
    "norm.weight": "norm.weight",
    "lm_head.weight": "head.weight",
}
"""The names of decoders that are built like a Llama. A family adds and takes away what differs."""

QK_NORM_NAMES: Names = {
    "layers.{}.self_attn.q_norm.weight": "layers.{}.attention.query_norm.weight",
    "layers.{}.self_attn.k_norm.weight": "layers.{}.attention.key_norm.weight",
}
"""The names of norms of queries and keys in such decoders."""

LAYER_NORM_NAMES: Names = {
    **both("layers.{}.input_layernorm", "layers.{}.attention.norm"),
    **both("layers.{}.post_attention_layernorm", "layers.{}.mlp.norm"),
    **both("norm", "norm"),
}
"""The names of norms with biases in such decoders."""


def expert_names(at: str, ours: str = "gate", theirs: Sequence[str] = ("gate_proj", "up_proj", "down_proj")) -> Names:
    """The names of router and experts: one tensor of all experts, and one of each, as on the Hub.

    Args:
        at: where they are in the checkpoint.
        ours: what the router is called there.
        theirs: what the matrices of one expert are called.
    """
    gate, up, down = theirs
    return {
        f"{at}.{ours}.weight": "layers.{}.mlp.router.weight",
        f"{at}.experts.{{}}.{gate}.weight": "layers.{}.mlp.experts.gate.weight",
        f"{at}.experts.{{}}.{up}.weight": "layers.{}.mlp.experts.up.weight",
        f"{at}.experts.{{}}.{down}.weight": "layers.{}.mlp.experts.down.weight",
        f"{at}.experts.gate_up_proj": "layers.{}.mlp.experts.gate_up.weight",
        f"{at}.experts.down_proj": "layers.{}.mlp.experts.down.weight",
    }


def names_without(names: Names, *parts: str) -> Names:
    """The ``names`` but those that contain one of the ``parts``."""
    return {theirs: ours for theirs, ours in names.items() if not any(part in theirs for part in parts)}


def names_with(names: Names, theirs: Callable[[str], str], ours: Callable[[str], str]) -> Names:
    """The ``names`` with what two functions make of theirs and of ours."""
    return {theirs(name): ours(our) if isinstance(our, str) else tuple(map(ours, our)) for name, our in names.items()}
