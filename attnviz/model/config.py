"""A model's config.json, read attribute by attribute, so that nothing in it is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.activations import ACTIVATIONS
from attnviz.model.spec import CAUSAL, EVERYTHING, Reach

# What a config may hold without changing a weight of the attention: bookkeeping, training, heads, generation.
_HARMLESS = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_name_or_path", "_num_labels", "architectures",
    "attn_implementation", "bos_token_id", "chunk_size_feed_forward", "cls_token_id", "dtype", "eos_token_id",
    "finetuning_task", "gradient_checkpointing", "id2label", "initializer_factor", "initializer_range", "label2id",
    "language", "mask_token_id", "model_max_length", "name", "name_or_path", "num_labels", "output_attentions",
    "output_hidden_states", "output_past", "pad_token_id", "problem_type", "return_dict", "sep_token_id",
    "task_specific_params", "tie_encoder_decoder", "tie_word_embeddings", "tokenizer_class", "torch_dtype",
    "torchscript", "transformers_version", "unk_token_id", "use_bfloat16", "use_cache",
    # Older versions of transformers wrote how to generate into every config.
    "bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups",
    "num_beams", "num_return_sequences", "output_scores", "prefix", "remove_invalid_values", "repetition_penalty",
    "return_dict_in_generate", "suppress_tokens", "temperature", "tf_legacy_loss", "top_k", "top_p", "typical_p",
})  # fmt: skip


class Config:
    """A model's config.json, read attribute by attribute.

    ``close`` raises for what nobody has read and that is not known to be harmless: a config that asks for
    something we do not know is not guessed at.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._read: set[str] = {"model_type"}

    def get(self, name: str, default: Any) -> Any:
        """The value of ``name``; ``default`` where it is absent or null."""
        self._read.add(name)
        value = self._values.get(name)
        return default if value is None else value

    def size(self, name: str, default: int | None = None) -> int:
        """A whole number above zero."""
        value = self.get(name, default)
        if value is None:
            raise ModelError(f"config.json has no {name}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"config.json: {name} is {value!r}, expected a whole number above zero")
        return value

    def either(self, name: str, other: str, default: int) -> int:
        """A size that transformers knows by two names, which must agree where a config has both."""
        size = self.size(name, self.get(other, default))
        self.expect(other, size)
        return size

    def number(self, name: str, default: float) -> float:
        """A number."""
        value = self.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ModelError(f"config.json: {name} is {value!r}, expected a number")
        return float(value)

    def expect(self, name: str, *allowed: Any) -> Any:
        """One of ``allowed``, the first of them where it is absent."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise UnsupportedModel(
                f"config.json: {name} is {value!r}; our forward pass knows {', '.join(map(repr, allowed))}"
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise ModelError(f"config.json: {name} is {value!r}, expected true or false")
        return value

    def activation(self, name: str, default: str) -> str:
        """The name of an activation."""
        value = self.get(name, default)
        if value not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise UnsupportedModel(f"config.json: {name} is {value!r}; our forward pass knows {known}")
        return str(value)

    def width(self, name: str, default: int, heads: int) -> int:
        """A width that divides into ``heads`` heads."""
        value = self.size(name, default)
        if value % heads:
            raise ModelError(f"config.json: {name} {value} does not divide by its {heads} attention heads")
        return value

    def reach(self) -> Reach:
        """A decoder's reach where ``is_decoder`` is set, else an encoder's."""
        self.expect("add_cross_attention", False)
        return CAUSAL if self.flag("is_decoder") else EVERYTHING

    def ignore(self, *names: str) -> None:
        """Attributes of this family that change nothing in its attention."""
        self._read.update(names)

    def close(self) -> None:
        """Raise ``UnsupportedModel`` for attributes that nobody has read."""
        unread = sorted(self._values.keys() - self._read - _HARMLESS)
        if unread:
            said = ", ".join(f"{name} = {self._values[name]!r}" for name in unread)
            raise UnsupportedModel(f"config.json asks for what our forward pass does not know: {said}")
