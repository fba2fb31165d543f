"""A model's config.json, read attribute by attribute, so that nothing in it is passed over."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.checkpoint.config_limits import require_sizes
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.activations import ACTIVATIONS

# What a config may hold without changing a weight of the attention: bookkeeping, training, heads, generation.
_HARMLESS = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_model_name_or_path", "_name_or_path", "_num_labels",
    "architectures", "attn_implementation", "auto_map", "bos_token_id", "chunk_size_feed_forward", "cls_token_id",
    "custom_pipelines", "dtype", "eos_token_id", "finetuning_task", "gradient_checkpointing", "id2label",
    "initializer_factor", "initializer_range", "label2id", "language", "mask_token_id", "model_max_length",
    "name", "name_or_path", "num_labels", "output_attentions", "output_hidden_states", "output_past",
    "pad_token_id", "problem_type", "return_dict", "sep_token_id", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "task_specific_params", "tie_encoder_decoder",
    "tie_word_embeddings", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version",
    "unk_token_id", "use_bfloat16", "use_cache",
    # Older versions of transformers wrote how to generate into every config.
    "bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size",
    "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "prefix", "remove_invalid_values",
    "repetition_penalty", "return_dict_in_generate", "suppress_tokens", "temperature", "tf_legacy_loss", "top_k",
    "top_p", "typical_p",
})  # fmt: skip


class Config:
    """A model's config.json, read attribute by attribute.

    ``defaults`` are those of a model type where they are not its family's. ``close`` raises for what nobody has read
    and that is not known to be harmless: a config that asks for something we do not know is not guessed at.
    """

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        self._values = values
        self._defaults = defaults or {}
        self._read: set[str] = {"model_type"}

    def get(self, name: str, default: Any) -> Any:
        """The value of ``name``; ``default`` where it is absent or null."""
        self._read.add(name)
        value = self._values.get(name)
        return self._defaults.get(name, default) if value is None else value

    def size(self, name: str, default: int | None = None) -> int:
        """A whole number above zero."""
        value = self.get(name, default)
        if value is None:
            raise ModelError(f"config.json has no {name}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"config.json: {name} is {short(value)}, expected a whole number above zero")
        require_sizes({name: value})
        return value

    def optional(self, name: str, default: int | None = None) -> int | None:
        """A whole number above zero, or None where it is null; ``default`` only where it is absent."""
        return self.size(name, default) if self._is_said(name, default) else None

    def _is_said(self, name: str, default: Any) -> bool:
        """Whether ``name`` is not null, or has a default where it is absent."""
        self._read.add(name)
        return self._values.get(name, self._defaults.get(name, default)) is not None

    def count(self, name: str, default: int) -> int:
        """A whole number, zero or above."""
        value = self.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ModelError(f"config.json: {name} is {short(value)}, expected a whole number, zero or above")
        return value

    def either(self, name: str, other: str, default: int) -> int:
        """A size that transformers knows by two names, which must agree where a config has both."""
        size = self.size(name, self.get(other, default))
        self.expect(other, size)
        return size

    def number(self, name: str, default: float) -> float:
        """A number."""
        value = self.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
            raise ModelError(f"config.json: {name} is {short(value)}, expected a number")
        return float(value)

    def optional_number(self, name: str, default: float | None = None) -> float | None:
        """A number, or None where it is null; ``default`` only where it is absent."""
        return self.number(name, default or 0.0) if self._is_said(name, default) else None

    def expect(self, name: str, *allowed: Any) -> Any:
        """One of ``allowed``, the first of them where it is absent."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise UnsupportedModel(
                f"config.json: {name} is {short(value)}; our forward pass knows {', '.join(map(repr, allowed))}"
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise ModelError(f"config.json: {name} is {short(value)}, expected true or false")
        return value

    def activation(self, name: str, default: str) -> str:
        """The name of an activation."""
        value = self.get(name, default)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise UnsupportedModel(f"config.json: {name} is {short(value)}; our forward pass knows {known}")
        return value

    def width(self, name: str, default: int, heads: int) -> int:
        """A width that divides into ``heads`` heads."""
        value = self.size(name, default)
        if value % heads:
            raise ModelError(f"config.json: {name} {value} does not divide by its {heads} attention heads")
        return value

    def direction(self) -> KeyWindow:
        """A decoder's window where ``is_decoder`` is set, else an encoder's."""
        self.expect("add_cross_attention", False)
        return CAUSAL if self.flag("is_decoder") else EVERYTHING

    def decoder(self) -> None:
        """The model is a decoder that stands alone."""
        self.expect("is_encoder_decoder", False)
        self.expect("add_cross_attention", False)
        self.ignore("chunk_size_feed_forward", "is_decoder", "attention_dropout")

    def head_size(self, width: int, heads: int) -> int:
        """``head_dim``, else the width of one of ``heads`` heads."""
        size = self.optional("head_dim")
        if size is None and width % heads:
            raise ModelError(f"config.json: hidden_size {width} does not divide by its {heads} attention heads")
        return size or width // heads

    def kv_heads(self, heads: int, default: int | None = None) -> int:
        """The number of key-value heads, as many as query ``heads`` where it is null."""
        count = self.optional("num_key_value_heads", default) or heads
        if heads % count:
            raise ModelError(f"config.json: {heads} attention heads do not share {count} key-value heads evenly")
        return count

    def layer_windows(self, window: int | None, default: Sequence[str]) -> tuple[KeyWindow, ...]:
        """How far each layer of a decoder sees, from ``layer_types``: as far as ``window`` tokens, itself counted, or
        all that came before. ``default`` is said of each layer where the config does not.
        """
        kinds = self.each("layer_types", default)
        known = {"full_attention": CAUSAL} | ({"sliding_attention": KeyWindow(window - 1, 0)} if window else {})
        unknown = sorted({str(kind) for kind in kinds} - known.keys())
        if unknown:
            raise UnsupportedModel(
                f"config.json: layer_types has {', '.join(unknown)}; our forward pass knows {', '.join(known)}"
            )
        return tuple(known[kind] for kind in kinds)

    def windows_by_pattern(self, count: int, every: int) -> tuple[KeyWindow, ...]:
        """How far each of ``count`` layers sees: as far as ``sliding_window``, and one of ``every`` layers, the last of
        them, all that came before; unless ``layer_types`` says it otherwise.
        """
        kinds = ["sliding_attention" if (i + 1) % every else "full_attention" for i in range(count)]
        return self.layer_windows(self.optional("sliding_window", 4096), kinds)

    def each(self, name: str, default: Sequence[Any]) -> Sequence[Any]:
        """A list with an entry for each layer, as ``default`` has."""
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise ModelError(f"config.json: {name} is {short(value)}, expected one for each of {len(default)} layers")
        return value

    def window(self) -> KeyWindow:
        """How far all layers of a decoder see: as far as ``sliding_window``, or all that came before."""
        window = self.optional("sliding_window")
        return KeyWindow(window - 1, 0) if window else CAUSAL

    def upper_windows(self, count: int) -> tuple[KeyWindow, ...]:
        """How far each of ``count`` layers sees where ``use_sliding_window`` gives those from ``max_window_layers`` on
        a window.
        """
        window, below = self.optional("sliding_window", 4096), self.number("max_window_layers", 28)
        if not self.flag("use_sliding_window"):
            window = None
        kinds = ["sliding_attention" if window and i >= below else "full_attention" for i in range(count)]
        return self.layer_windows(window, kinds)

    def only(self, name: str, allowed: Any) -> None:
        """Refuse another value than ``allowed``, since transformers passes it over: it would run another model."""
        value = self.get(name, allowed)
        if value != allowed:
            raise ModelError(
                f"config.json: {name} is {short(value)}, "
                f"and neither attnviz nor transformers runs other than {allowed!r}"
            )

    def ignore(self, *names: str) -> None:
        """Attributes of this family that change nothing in its attention."""
        self._read.update(names)

    def close(self) -> None:
        """Raise ``UnsupportedModel`` for attributes that nobody has read."""
        values = {**self._defaults, **self._values}
        unread = sorted(values.keys() - self._read - _HARMLESS)
        if unread:
            said = ", ".join(f"{name} = {short(values[name])}" for name in unread)
            raise UnsupportedModel(f"config.json asks for what our forward pass does not know: {said}")
