"""A loaded transformers model: its inputs and outputs."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from attnviz.attention.kernel import Kind
from attnviz.checkpoint import quiet_transformers
from attnviz.encoding import Encoding, Padded, Word
from attnviz.errors import AttnvizError, InputError, UnsupportedModel
from attnviz.model.hosted.isolation import Function, attend_with, configs
from attnviz.model.hosted.precision import precision
from attnviz.model.inputs import require_fit
from attnviz.model.labels import Labels

_INSIDE = "Its own forward runs, not the model inside alone; that is shown by load((model.base_model, tokenizer))."


class Loaded:
    """A loaded transformers model, which runs with any attention function."""

    def __init__(
        self,
        model: Any,
        name: str,
        start: int | None = None,
        unread: tuple[str, ...] = (),
        classifier: Any = None,
        labels: Labels | None = None,
        open_writer: Callable[[], Any] | None = None,
        language: int | None = None,
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: the transformers model.
            name: the name for messages.
            start: the token with which a decoder begins.
            unread: the names of the checkpoint's tensors that the model does not use.
            classifier: the model around this one that classifies, if there is one.
            labels: the labels of this classifier.
            open_writer: opens the model with its head that predicts tokens.
            language: the number of the language of all texts, in a model that has parts for each.
        """
        self.language = language
        self._open_writer = open_writer
        self.classifier, self.labels = classifier, labels if classifier is not None else None
        self.model, self.model_name, self.unread = model, name, unread
        self._accepts = dict(inspect.signature(model.forward).parameters)
        self._takes_all = any(each.kind is each.VAR_KEYWORD for each in self._accepts.values())
        if self._takes_all:  # a forward of the user's may pass on what the one of transformers takes
            whole = next(
                (getattr(kind, "forward", model.forward) for kind in type(model).__mro__ if _is_own(kind)),
                model.forward,
            )
            self._accepts |= inspect.signature(whole).parameters
        self.kinds: tuple[Kind, ...] = ("self",)
        if "decoder_input_ids" in self._accepts:
            self.kinds = ("encoder", "decoder", "cross")
        self.start = None if self.kinds == ("self",) else start
        self.limit = _limit(model)
        self._reads = str(getattr(model, "main_input_name", "input_ids"))

    @cached_property
    def heads(self) -> dict[Kind, int]:
        """The number of heads of all layers of each kind together, at most, as far as the configs say."""
        counts = [
            _number(config, "num_hidden_layers") * _number(config, "num_attention_heads")
            for config in configs(self.model)
        ]
        return dict.fromkeys(self.kinds, max(counts))

    def _forward(
        self,
        encoding: Encoding,
        target: Encoding | None,
        hook: Function | None,
        own: str | None = "eager",
        whole: Any = None,
        **wanted: bool,
    ) -> Any:
        """Run the model, or a ``whole`` around it."""
        inputs = self._inputs(encoding, target, shifts=whole is not None)
        exact = precision(self.model.dtype)
        try:
            with attend_with(whole or self.model, hook, own), quiet_transformers(), exact, torch.inference_mode():
                return (whole or self.model)(**inputs, **self._accepted(wanted | {"return_dict": True}))
        except AttnvizError as error:
            error.message = f"{self.model_name}: {error.message}"
            raise
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ImportError) as error:
            alone = "" if self._reads == "input_ids" else f": it reads {self._reads} as well"
            raise UnsupportedModel(
                f"{self.model_name}: transformers' {type(self.model).__name__} can't run this text{alone} ({error})",
                hint="" if getattr(self.model, "base_model", self.model) is self.model else _INSIDE,
            ) from error

    def _accepted(self, wanted: dict[str, bool]) -> dict[str, bool]:
        """Return the settings that the model's forward takes."""
        return {name: value for name, value in wanted.items() if self._takes_all or name in self._accepts}

    def _inputs(self, encoding: Encoding, target: Encoding | None, *, shifts: bool = False) -> dict[str, Tensor]:
        """What the model reads; one that ``shifts`` makes the decoder's text of the encoder's where none is given."""
        if "input_ids" not in self._accepts and (self._reads != "input_ids" or not self._takes_all):
            kind, reads = type(self.model).__name__, self._reads
            reads = next(iter(self._accepts), "nothing") if reads == "input_ids" else reads
            raise UnsupportedModel(f"{self.model_name}: transformers' {kind} reads {reads}, not text")
        self._fits(encoding)
        device = self._device()
        inputs = {"input_ids": torch.tensor([encoding.ids], device=device)}
        if "attention_mask" in self._accepts:
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "lang_ids" in self._accepts:
            inputs["lang_ids"] = torch.tensor([self.language or 0], device=device)
        elif "langs" in self._accepts and self.language is not None:
            inputs["langs"] = torch.full_like(inputs["input_ids"], self.language)
        if isinstance(encoding, Padded):
            inputs |= self._padding(encoding, device)
        if any(encoding.type_ids) and reads_types(type(self.model), self.model.config):
            inputs["token_type_ids"] = torch.tensor([encoding.type_ids], device=device)
        if self.kinds == ("self",):
            if target is not None:
                raise InputError("the model has no decoder: it takes no target")
            return inputs
        if target is None and shifts:
            return inputs
        if target is None:
            raise InputError("the model is an encoder–decoder: it needs a target text as well")
        self._fits(target)
        return inputs | {"decoder_input_ids": torch.tensor([target.ids], device=device)}

    def _padding(self, encoding: Padded, device: torch.device) -> dict[str, Tensor]:
        """Return the attention mask and the position ids of a row that has its own."""
        given = {"attention_mask": None if all(encoding.mask) else encoding.mask, "position_ids": encoding.positions}
        wanted = {
            name: torch.tensor([numbers], device=device) for name, numbers in given.items() if numbers is not None
        }
        refused = sorted(wanted.keys() - self._accepts.keys())
        if refused:
            raise UnsupportedModel(
                f"{self.model_name}: {type(self.model).__name__} takes no {' and no '.join(refused)}"
            )
        return wanted

    def _shapes(self, encoding: Encoding, target: Encoding | None) -> dict[Kind, tuple[int, int]]:
        """Return the shape (N, M) of each kind of map."""
        read, written = len(encoding), len(target or ())
        if self.kinds == ("self",):
            return {"self": (read, read)}
        return {"encoder": (read, read), "decoder": (written, written), "cross": (written, read)}

    def _table(self) -> Tensor | None:
        """Return the token embeddings; None if the model does not say which of its tensors they are."""
        try:
            table: Tensor = self.model.get_input_embeddings().weight
        except (AttributeError, NotImplementedError):
            return None
        return table

    @property
    def vocabulary(self) -> int:
        """The size of the vocabulary; unlimited if the model does not say it."""
        table = self._table()
        return int(getattr(self.model.config, "vocab_size", None) or sys.maxsize) if table is None else len(table)

    def _device(self) -> torch.device:
        """Return the device of the model's inputs."""
        table = self._table()
        device: torch.device = next(self.model.parameters()).device if table is None else table.device
        return device

    def few_tokens(self) -> tuple[Encoding, Encoding | None]:
        """Return an input of eight tokens, and one of two for a decoder, to see by a run how the model attends."""
        last = self.vocabulary - 1
        read, written = (
            Encoding("", None, ids, (0,) * len(ids), ("",) * len(ids), (False,) * len(ids), (Word("", 0, len(ids)),))
            for ids in (tuple(min(i, last) for i in range(3, 11)), tuple(min(i, last) for i in (3, 4)))
        )
        return read, None if self.kinds == ("self",) else written

    def _fits(self, encoding: Encoding) -> None:
        """Raise for ids and token types that have no embeddings."""
        types = getattr(self.model.config, "type_vocab_size", None) or 0
        require_fit(encoding, self.vocabulary, types)


def reads_types(model: type[nn.Module], config: Any) -> bool:
    """Whether models of the class ``model`` have embeddings for token types, rather than reusing those of words."""
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    return takes and bool(getattr(config, "type_vocab_size", None))


def _number(config: Any, name: str) -> int:
    """Return a number of a config; 0 if it is absent, and the largest if there is one per layer."""
    said = getattr(config, name, None) or 0
    return max(said) if isinstance(said, list | tuple) else int(said)


def _is_own(kind: type) -> bool:
    return kind.__module__.startswith("transformers.")


def has_no_head(model: nn.Module) -> bool:
    """Whether ``model`` is a transformers class without a head, so that its output is the last hidden state."""
    kind = type(model)
    return _is_own(kind) and kind.__name__.endswith("Model") and model.get_output_embeddings() is None  # type: ignore[operator]


def hidden_states(output: Any, kinds: tuple[Kind, ...]) -> dict[Kind, list[Tensor]]:
    """Return the hidden states (T, C) before each layer and after the last, by kind, as far as ``output`` has them."""
    fields: dict[Kind, str] = {"self": "hidden_states"}
    if len(kinds) > 1:
        fields = {"encoder": "encoder_hidden_states", "decoder": "decoder_hidden_states"}
    found = {kind: [state[0] for state in getattr(output, name, None) or ()] for kind, name in fields.items()}
    # In models with several streams (DeepSeek-V4) all states but the last have more than C numbers per token.
    return {kind: states for kind, states in found.items() if len({state.shape for state in states}) == 1}


def last_hidden_state(output: Any) -> Tensor:
    """Return the last hidden states (T, C), the decoder's if there is one."""
    last: Tensor | None = getattr(output, "last_hidden_state", None)
    if last is None:  # a model with a head
        states = getattr(output, "decoder_hidden_states", None) or getattr(output, "hidden_states", None)
        if not states:
            raise UnsupportedModel(f"the model's output ({type(output).__name__}) has no hidden states", hint=_INSIDE)
        last = states[-1]
    return last[0]


def _limit(model: nn.Module) -> int | None:
    """Return the most tokens that ``model`` has learned positions for: the size of its smallest position table."""
    counts = [
        module.num_embeddings
        - int(getattr(module, "offset", 0))
        - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and _is_positions(name)
    ]
    return min(counts, default=None)


def _is_positions(name: str) -> bool:
    last = name.rpartition(".")[2]
    absolute = last == "wpe" or ("position" in last and "embed" in last and "rel" not in last)
    return absolute and not re.search("vision|visual|image|audio|speech", name)
