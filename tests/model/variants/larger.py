"""Larger models, which read pictures too: their text model is of the family that the variant belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.model.variants import Variant

_SEEING = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
}
_SEEING_IN_TIME = {
    "depth": 1,
    "hidden_size": 16,
    "embed_dim": 16,
    "num_heads": 2,
    "intermediate_size": 16,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0],
}
_MARKS = {"image_token_id": 40, "video_token_id": 41, "vision_start_token_id": 42, "vision_end_token_id": 43}


def larger(model: str, kind: str, text: Variant, seeing: str = "clip_vision_model", **more: Any) -> Variant:
    """A larger model whose text model, of the type ``kind``, is as in ``text``, and its vision model ``seeing``."""
    config = {
        "text_config": {"model_type": kind, **text.config},
        "vision_config": {"model_type": seeing, **_SEEING},
        "image_token_index": 40,
    }
    return replace(text, model=model, config=config | more)


def qwen_vl(model: str, text: Variant, **more: Any) -> Variant:
    """A larger Qwen, whose positions have three dimensions."""
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    seeing = _SEEING_IN_TIME | {"out_hidden_size": text.config["hidden_size"]}
    config = {"text_config": {**text.config, "rope_parameters": rope | more}, "vision_config": seeing}
    return replace(text, model=model, config=config | _MARKS)
