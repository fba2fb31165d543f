"""Read a model's config.json attribute by attribute, so that none is ignored by accident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.checkpoint.config_limits import require_sizes
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.architecture.activations import ACTIVATIONS

# Attributes that do not change any attention weight: bookkeeping, training, heads, generation.
_HARMLESS = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_model_name_or_path", "_name_or_path", "_num_labels",
    "architectures", "attn_implementation", "auto_map", "bos_token", "bos_token_id", "chunk_size_feed_forward",
    "cls_token", "cls_token_id", "eos_token", "mask_token", "pad_token", "sep_token", "unk_token",
    "custom_pipelines", "dtype", "eos_token_id", "finetuning_task", "gradient_checkpointing", "id2label",
    "initializer_factor", "initializer_range", "label2id", "language", "mask_token_id", "model_max_length",
    "name", "name_or_path", "num_labels", "output_attentions", "output_hidden_states", "output_past",
    "pad_token_id", "problem_type", "return_dict", "sep_token_id", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "task_specific_params", "tie_encoder_decoder",
    "tie_word_embeddings", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version",
    "unk_token_id", "use_bfloat16", "use_cache",
    # How it was trained and is run: over several devices, with losses of a router, with a kind of cache.
    "cache_implementation", "output_router_logits", "pretraining_tp", "router_aux_loss_coef",
    # Of other programs, and of training.
    "_flash_attn_2_enabled", "neftune_noise_alpha", "transformers.js_config", "unsloth_fixed", "unsloth_version",
    "use_reentrant_checkpointing",
    # Older versions of transformers wrote the generation settings into every config.
    "bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size",
    "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "prefix", "remove_invalid_values",
    "repetition_penalty", "return_dict_in_generate", "suppress_tokens", "temperature", "tf_legacy_loss", "top_k",
    "top_p", "typical_p",
})  # fmt: skip


_MOST = 3.4e38
"""About the largest number that is one in float32."""


def read_number(name: str, value: object, above: float | None = None) -> float:
    """Return a number of a config; one ``above`` another, if that is given.

    Raises:
        ModelError: the ``value`` of ``name`` is none.
    """
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not abs(value) <= _MOST
        or (above is not None and value <= above)
    ):
        expected = "a number" if above is None else f"a number above {above:g}"
        raise ModelError(f"config.json: {name} is {short(value)}, expected {expected}")
    return float(value)


class Config:
    """A model's config.json.

    ``close`` raises for attributes that were not read and are not known to be harmless, so that a config which asks for
    something unknown is refused.

    Args:
        values: the content of config.json.
        defaults: the model type's defaults where they differ from its family's.
    """

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        self._values = values
        self._defaults = defaults or {}
        self._read: set[str] = {"model_type"}
        self._parts: dict[str, Config] = {}

    def get(self, name: str, default: Any) -> Any:
        """Return the value of ``name``; ``default`` if it is absent or null."""
        self._read.add(name)
        value = self._values.get(name)
        return self._defaults.get(name, default) if value is None else value

    def part(self, name: str) -> Config:
        """Return the config of a part of the model, which is closed with this one."""
        value = self.get(name, {})
        if not isinstance(value, Mapping):
            raise ModelError(f"config.json: {name} is {short(value)}, expected names and values")
        return self._parts.setdefault(name, Config(value))

    def size(self, name: str, default: int | None = None) -> int:
        """Return a whole number above zero."""
        value = self.get(name, default)
        if value is None:
            raise ModelError(f"config.json has no {name}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"config.json: {name} is {short(value)}, expected a whole number above zero")
        require_sizes({name: value})
        return value

    def optional(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number above zero, or None if it is null; ``default`` only if it is absent."""
        return self.size(name, default) if self._is_said(name, default) else None

    def _is_said(self, name: str, default: Any) -> bool:
        """Whether ``name`` is not null, or is absent and has a default."""
        self._read.add(name)
        return self._values.get(name, self._defaults.get(name, default)) is not None

    def count(self, name: str, default: int) -> int:
        """Return a whole number, zero or above."""
        value = self.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ModelError(f"config.json: {name} is {short(value)}, expected a whole number, zero or above")
        return value

    def either(self, name: str, other: str, default: int) -> int:
        """Return a size that transformers knows by two names, which must agree if a config has both."""
        size = self.size(name, self.get(other, default))
        self.expect(other, size)
        return size

    def number(self, name: str, default: float, *, above: float | None = None) -> float:
        """Return a number; one ``above`` another, if that is given."""
        return read_number(name, self.get(name, default), above)

    def optional_number(self, name: str, default: float | None = None) -> float | None:
        """Return a number, or None if it is null; ``default`` only if it is absent."""
        return self.number(name, default or 0.0) if self._is_said(name, default) else None

    def expect(self, name: str, *allowed: Any) -> Any:
        """Return one of ``allowed``, the first of them if it is absent; raise for any other value."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise UnsupportedModel(
                f"config.json: {name} is {short(value)}; our forward pass knows {', '.join(map(repr, allowed))}"
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise ModelError(f"config.json: {name} is {short(value)}, expected true or false")
        return value

    def activation(self, name: str, default: str) -> str:
        """Return the name of an activation function."""
        value = self.get(name, default)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise UnsupportedModel(f"config.json: {name} is {short(value)}; our forward pass knows {known}")
        return value

    def width(self, name: str, default: int, heads: int) -> int:
        """Return a width that is divisible by ``heads``."""
        value = self.size(name, default)
        if value % heads:
            raise ModelError(f"config.json: {name} {value} does not divide by its {heads} attention heads")
        return value

    def direction(self) -> KeyWindow:
        """Return a decoder's window if ``is_decoder`` is set, otherwise an encoder's."""
        self.expect("add_cross_attention", False)
        return CAUSAL if self.flag("is_decoder") else EVERYTHING

    def decoder(self) -> None:
        """Require a decoder without an encoder."""
        self.expect("is_encoder_decoder", False)
        self.expect("add_cross_attention", False)
        self.ignore("chunk_size_feed_forward", "is_decoder", "attention_dropout", "hidden_dropout")

    def head_size(self, width: int, heads: int) -> int:
        """Return ``head_dim``, or by default the ``width`` divided by the number of ``heads``."""
        size = self.optional("head_dim")
        if size is None and width % heads:
            raise ModelError(f"config.json: hidden_size {width} does not divide by its {heads} attention heads")
        return size or width // heads

    def kv_heads(self, heads: int, default: int | None = None) -> int:
        """Return the number of key-value heads; as many as query ``heads`` if it is null."""
        count = self.optional("num_key_value_heads", default) or heads
        if heads % count:
            raise ModelError(f"config.json: {heads} attention heads do not share {count} key-value heads evenly")
        return count

    def layer_windows(self, window: int | None, default: Sequence[str]) -> tuple[KeyWindow, ...]:
        """Return the window of each layer of a decoder from ``layer_types``.

        Args:
            window: the number of keys that a sliding layer sees, the query's own included.
            default: the type of each layer if the config does not say it.
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
        """Return the window of each of ``count`` layers: one of ``every`` layers, the last, sees all earlier keys, the
        others slide.

        ``layer_types`` takes precedence.
        """
        kinds = ["sliding_attention" if (i + 1) % every else "full_attention" for i in range(count)]
        return self.layer_windows(self.optional("sliding_window", 4096), kinds)

    def each(self, name: str, default: Sequence[Any]) -> Sequence[Any]:
        """Return a list with one entry per layer, as many as ``default`` has."""
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise ModelError(f"config.json: {name} is {short(value)}, expected one for each of {len(default)} layers")
        return value

    def window(self, default: int | None = None) -> KeyWindow:
        """Return the window of all layers of a decoder: ``sliding_window`` keys, or all earlier ones."""
        window = self.optional("sliding_window", default)
        return KeyWindow(window - 1, 0) if window else CAUSAL

    def upper_windows(self, count: int) -> tuple[KeyWindow, ...]:
        """Return the window of each of ``count`` layers; with ``use_sliding_window`` those from ``max_window_layers``
        on slide.
        """
        window, below = self.optional("sliding_window", 4096), self.number("max_window_layers", 28)
        if not self.flag("use_sliding_window"):
            window = None
        kinds = ["sliding_attention" if window and i >= below else "full_attention" for i in range(count)]
        return self.layer_windows(window, kinds)

    def experts(self, name: str, count: int, chosen: int, *, chosen_by: str = "num_experts_per_tok") -> tuple[int, int]:
        """Return how many experts there are, by the attribute ``name``, and how many of them read a token."""
        count, chosen = self.size(name, count), self.size(chosen_by, chosen)
        if chosen > count:
            raise ModelError(f"config.json: {chosen_by} is {chosen}, of {count} experts")
        return count, chosen

    def only(self, name: str, allowed: Any) -> None:
        """Refuse any value but ``allowed``: transformers ignores the attribute, so that it would run another model."""
        value = self.get(name, allowed)
        if value != allowed:
            raise ModelError(
                f"config.json: {name} is {short(value)}, "
                f"and neither attnviz nor transformers runs other than {allowed!r}"
            )

    def ignore(self, *names: str) -> None:
        """Mark attributes of this family that do not change its attention as read."""
        self._read.update(names)

    def close(self) -> None:
        """Raise ``UnsupportedModel`` for attributes that were not read."""
        values = {**self._defaults, **self._values}
        unread = sorted(values.keys() - self._read - _HARMLESS)
        if unread:
            said = ", ".join(f"{name} = {short(values[name])}" for name in unread)
            raise UnsupportedModel(f"config.json asks for what our forward pass does not know: {said}")
        for part in self._parts.values():
            part.close()
