"""A config as transformers writes it, from the settings and tensors of a GGUF file.

A setting that is neither used nor known to be needless makes the file unsupported here: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attnviz.checkpoint.gguf.architecture import Architecture
from attnviz.checkpoint.gguf.architectures import derived
from attnviz.checkpoint.gguf.header import Header
from attnviz.errors import UnsupportedModel, short

_NEEDLESS = (
    "vocab_size",
    "attention.value_length",
    "rope.dimension_count",
    "expert_group_count",
    "expert_group_used_count",
)
"""Settings that repeat others, or what the tensors say."""
_TOKENS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
_SCALINGS = ("none", "linear", "yarn", "longrope")

_PATTERN = "attention.sliding_window_pattern"
_GATES = {"softmax": 1, "sigmoid": 2}
"""GGUF's numbers of the functions that make shares of experts' scores."""

Vector = Callable[[str], list[float]]
"""Read a short tensor by GGUF's name."""


def read_config(header: Header, architecture: Architecture, vector: Vector) -> dict[str, Any]:
    """Return the config of the model in a GGUF file.

    Raises:
        UnsupportedModel: a setting says what can't be expressed; the message names it.
    """
    prefix = f"{header.settings['general.architecture']}."
    said = {name.removeprefix(prefix): value for name, value in header.settings.items() if name.startswith(prefix)}
    config: dict[str, Any] = {"model_type": architecture.model_type, **architecture.facts, **_layer_types(said)}
    said = {name: _same(f"{prefix}{name}", value) for name, value in said.items()}
    for name, attribute in architecture.attributes.items():
        value = said.pop(name, None)
        if value is not None and attribute:
            config[attribute] = value
    _take_window(config)
    _require_causal(said, architecture)
    config["vocab_size"] = header.tensors["token_embd.weight"].shape[0]
    if "token_types.weight" in header.tensors:
        config["type_vocab_size"] = header.tensors["token_types.weight"].shape[0]
    config["tie_word_embeddings"] = "output.weight" not in header.tensors
    _require_gate(said, architecture)
    config |= derived(architecture, config, header.tensors)
    if "kv_lora_rank" in config:
        config |= _latent(said, config)
    if architecture.turns:
        config |= _turns(said, config, architecture, header, vector)
    said = {name: value for name, value in said.items() if name not in _NEEDLESS}
    unread = {name: value for name, value in said.items() if value or not name.startswith("expert_")}  # no experts
    if unread:
        listed = ", ".join(f"{prefix}{name} = {short(value)}" for name, value in sorted(unread.items()))
        raise UnsupportedModel(f"it says what is not known here: {listed}")
    return config | _tokens(header, architecture)


def _layer_types(said: dict[str, Any]) -> dict[str, list[str]]:
    """Take out which layers have a window, where a setting says it of each."""
    if not isinstance(said.get(_PATTERN), tuple):
        return {}
    return {"layer_types": ["sliding_attention" if slides else "full_attention" for slides in said.pop(_PATTERN)]}


def _same(name: str, value: Any) -> Any:
    """Return a setting; the one value of a list that has it for each layer."""
    if not isinstance(value, tuple):
        return value
    if len(set(value)) != 1:
        raise UnsupportedModel(f"it says what is not known here: {name} = {short(list(value))}")
    return value[0]


def _take_window(config: dict[str, Any]) -> None:
    """Zero keys in a window stand for all."""
    if config.get("sliding_window") == 0:
        config["sliding_window"] = None


def _require_causal(said: dict[str, Any], architecture: Architecture) -> None:
    if said.pop("attention.causal", architecture.causal) is not architecture.causal:
        raise UnsupportedModel(f"its attention.causal is {str(not architecture.causal).lower()}")


def _require_gate(said: dict[str, Any], architecture: Architecture) -> None:
    gate = said.pop("expert_gating_func", None)
    expected = "sigmoid" if architecture.model_type == "deepseek_v3" else "softmax"
    if gate not in (None, 0, _GATES[expected]):
        raise UnsupportedModel(f"its expert_gating_func is {short(gate)}; known here is {_GATES[expected]}, {expected}")


def _latent(said: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of attention from latent vectors; older files say the sizes of heads otherwise."""
    turned = said["rope.dimension_count"]
    older = said.pop("attention.key_length", None), said.get("attention.value_length")
    size, value = (
        said.pop(f"attention.{which}_length_mla", each) for which, each in zip(("key", "value"), older, strict=True)
    )
    found = {
        "qk_rope_head_dim": turned, "qk_nope_head_dim": size - turned, "v_head_dim": value,
        "num_key_value_heads": config["num_attention_heads"],
    }  # fmt: skip
    if "n_group" in config:
        grouped = config["model_type"] == "deepseek_v2" and config["n_group"] > 1
        return found | {"topk_method": "group_limited_greedy"} if grouped else found
    if config["model_type"] == "deepseek_v3" or config["q_lora_rank"] is not None:
        raise UnsupportedModel("it does not say in how many groups its experts are: expert_group_count")
    return found


def _tokens(header: Header, architecture: Architecture) -> dict[str, Any]:
    found = {name: header.settings.get(f"tokenizer.ggml.{theirs}_token_id") for name, theirs in _TOKENS.items()}
    end, turn = found["eos_token_id"], header.settings.get("tokenizer.ggml.eot_token_id")
    if end is not None and turn not in (None, end):
        found["eos_token_id"] = [end, turn]
    if found["pad_token_id"] is None and not architecture.causal:
        del found["pad_token_id"]  # encoders have one in any case
    return found  # those that it lacks are None, not what transformers takes for granted


def _turns(
    said: dict[str, Any], config: Mapping[str, Any], architecture: Architecture, header: Header, vector: Vector
) -> dict[str, Any]:
    """Return the attributes of the rotary positions."""
    latent = config.get("qk_rope_head_dim")
    size = latent or config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    turning = said.get("rope.dimension_count", size)
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": said.pop("rope.freq_base", 10_000.0)}
    near = {**rope, "rope_theta": said.pop("rope.freq_base_swa", 10_000.0)}
    if turning != size:
        if architecture.turns != "partly":
            raise UnsupportedModel(f"{turning} of {size} dimensions turn")
        rope["partial_rotary_factor"] = turning / size
    rope |= _scaling(said, config, header, vector)
    original = rope.get("original_max_position_embeddings")
    if architecture.model_type == "olmo3":
        near["rope_theta"] = rope["rope_theta"]
    if architecture.model_type in ("gemma3_text", "olmo3"):
        return {"rope_parameters": {"full_attention": rope, "sliding_attention": near}}
    outside = {"original_max_position_embeddings": original or config.get("max_position_embeddings")}
    if architecture.model_type == "gpt_oss":
        rope["truncate"] = False
    partial = {"partial_rotary_factor": rope["partial_rotary_factor"]} if "partial_rotary_factor" in rope else {}
    return {"rope_parameters": rope, **partial, **(outside if architecture.model_type == "phi3" else {})}


def _scaling(said: dict[str, Any], config: Mapping[str, Any], header: Header, vector: Vector) -> dict[str, Any]:
    kind = said.pop("rope.scaling.type", "none")
    factor, older = said.pop("rope.scaling.factor", None), said.pop("rope.scale_linear", None)
    attention = said.pop("rope.scaling.attn_factor", None)
    original = said.pop("rope.scaling.original_context_length", None) or config.get("max_position_embeddings")
    said.pop("rope.scaling.finetuned", None)
    if kind not in _SCALINGS:
        raise UnsupportedModel(f"its rope.scaling.type is {short(kind)}; known here are {', '.join(_SCALINGS)}")
    if "rope_freqs.weight" in header.tensors:  # a factor for each frequency, whatever the length (Llama 3.1)
        factors = vector("rope_freqs.weight")
        return {
            "rope_type": "longrope", "short_factor": factors, "long_factor": factors, "attention_factor": 1.0,
            "original_max_position_embeddings": original,
        }  # fmt: skip
    if "rope_factors_long.weight" in header.tensors:
        return {
            "rope_type": "longrope", "short_factor": vector("rope_factors_short.weight"),
            "long_factor": vector("rope_factors_long.weight"), "attention_factor": attention or 1.0,
            "original_max_position_embeddings": original,
        }  # fmt: skip
    if kind == "longrope":
        raise UnsupportedModel("its rope.scaling.type is 'longrope', and it has no rope_factors_long.weight")
    if kind == "linear" or older not in (None, 1.0):
        return {"rope_type": "linear", "factor": factor or older or 1.0}
    if kind == "yarn":
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original, **_yarn(said)}
    return {}


def _yarn(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of YaRN beside its factor (Peng et al. 2024), as far as it says it."""
    names = {"attn_factor": "attention_factor", "beta_fast": "beta_fast", "beta_slow": "beta_slow"}
    found = {ours: said.pop(f"rope.scaling.yarn_{theirs}", None) for theirs, ours in names.items()}
    deepseek = said.pop("rope.scaling.yarn_log_multiplier", None)
    if deepseek is not None:  # llama.cpp takes both for the same
        found |= dict.fromkeys(("mscale", "mscale_all_dim"), round(10 * deepseek, 6))
    return {name: value for name, value in found.items() if value is not None}
