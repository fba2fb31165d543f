"""The text models inside larger ones, which also read pictures or sound: where their configs and tensors are.

With text alone a larger model is its text model: what pictures add is not there, and positions in three dimensions
(Wang et al. 2024, "Qwen2-VL", section 2.1) are all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attnviz.model.architecture.config import Config

PREFIXES = (
    "model.language_model.",  # since transformers 5
    "model.text_model.",
    "language_model.model.",
    "language_model.",
    "text_model.",
    "model.",
)
"""What stands before the names of the text model's tensors."""


@dataclass(frozen=True)
class Tower:
    """The text model in a larger one.

    Args:
        kind: its model type, where the config does not say it.
        tied: whether its head is tied, where the config does not say it.
        inner: whether it is tied too where the config of the text model says so.
        idle: attributes of its config that the larger model does not look at with text alone.
        alone: whether transformers runs it by itself alone: the larger model can't do without a picture.
    """

    kind: str
    tied: bool = False
    inner: bool = False
    idle: tuple[str, ...] = ()
    alone: bool = False


_IDEFICS = ("perceiver_config", "pixel_shuffle_factor", "qk_layer_norms", "use_resampler")
_IDEFICS2, _IDEFICS3 = Tower("mistral", idle=_IDEFICS), Tower("llama", idle=_IDEFICS)

TOWERS: Mapping[str, Tower] = {
    "audioflamingo3": Tower("qwen2"),
    "aya_vision": Tower("cohere2", tied=True),
    "clip": Tower("clip_text_model", alone=True),
    "cohere2_vision": Tower("cohere2", tied=True),
    "deepseek_vl": Tower("llama", tied=True),
    "fuyu": Tower("persimmon"),
    "gemma3": Tower("gemma3_text", tied=True),
    "gemma4": Tower("gemma4_text", tied=True),
    "gemma4_unified": Tower("gemma4_unified_text", tied=True),
    "glm46v": Tower("glm4v_text"),
    "glm4v": Tower("glm4v_text", inner=True),
    "glm4v_moe": Tower("glm4v_moe_text", inner=True),
    "glm_ocr": Tower("glm_ocr_text", inner=True),
    "got_ocr2": Tower("qwen2", tied=True),
    "idefics2": _IDEFICS2,
    "idefics3": _IDEFICS3,
    "internvl": Tower("qwen2", tied=True),
    "janus": Tower("llama", tied=True),
    "lighton_ocr": Tower("qwen3", tied=True),
    "llama4": Tower("llama4_text"),
    "llava": Tower("llama", inner=True),
    "llava_next": Tower("llama"),
    "llava_next_video": Tower("llama", inner=True),
    "llava_onevision": Tower("qwen2", inner=True),
    "mistral3": Tower("mistral", tied=True),
    "ovis2": Tower("qwen2", tied=True),
    "paligemma": Tower("gemma", tied=True, idle=("use_bidirectional_attention", "num_image_tokens")),
    "qwen2_5_vl": Tower("qwen2_5_vl_text", inner=True),
    "qwen2_audio": Tower("qwen2"),
    "qwen2_vl": Tower("qwen2_vl_text", inner=True),
    "qwen3_5": Tower("qwen3_5_text"),
    "qwen3_5_moe": Tower("qwen3_5_moe_text"),
    "qwen3_vl": Tower("qwen3_vl_text"),
    "qwen3_vl_moe": Tower("qwen3_vl_moe_text"),
    "siglip": Tower("siglip_text_model", alone=True),
    "smolvlm": _IDEFICS3,
    "vipllava": Tower("llama"),
    "voxtral": Tower("llama"),
}
"""The model types of larger models, and the text models in them."""

_ELSEWHERE = re.compile(
    r"image|video|vision|visual|audio|projec|multimodal|adapter|mm_tokens|spatial_|downsample|^scale_factor$"
    r"|^(boi|eoi|boa|eoa)_token|^logit_scale|^alignment_|^ignore_index$|^(perceiver|vq)_config$|^(num_channels|patch_size)$"
)
"""Attributes of a larger model that its text model has no part in."""
_MARKS = re.compile(r"(image|video)_(start_|end_)?token_id$")
"""Attributes of a larger model that the config of its text model may repeat."""
_ONCE_MORE = ("_pad_token_id", "_vocab_size", "hidden_size", "is_encoder_decoder", "text_config", "vocab_size")
"""Attributes of a larger model for which the config of its text model counts."""


def is_alone(config: Mapping[str, Any]) -> bool:
    """Whether transformers runs the text model of ``config`` by itself alone."""
    tower = TOWERS.get(str(config.get("model_type")))
    return tower is not None and tower.alone


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of the text model in the larger one of ``config``; any other ``config`` as it is.

    Its older form has the text model's attributes among its own (Qwen2-VL).

    Raises:
        UnsupportedModel: the larger model has an attribute that may concern its text model.
    """
    tower, own = TOWERS.get(str(config.get("model_type"))), config.get("text_config")
    if tower is None:
        return config
    larger = {name: value for name, value in config.items() if not _ELSEWHERE.search(name)}
    if isinstance(own, Mapping):
        reading = Config(larger)
        reading.ignore(*_ONCE_MORE)
        reading.close()
    else:
        own = {name: value for name, value in larger.items() if name not in ("text_config", "model_type")}
    own = {name: value for name, value in own.items() if name not in tower.idle and not _MARKS.match(name)}
    tied = config.get("tie_word_embeddings")
    tied = tower.tied if tied is None else bool(tied)
    if tower.inner and own.get("tie_word_embeddings"):
        tied = True
    return {"model_type": tower.kind, **own, "tie_word_embeddings": tied}
