"""What a model writes itself, as what it reads next: its continuation of a text, or the text of its decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnviz.attention.interventions import Intervention
from attnviz.checkpoint import Checkpoint, quiet_transformers
from attnviz.encoding import Encoding, append_generated, decoder_start
from attnviz.errors import InputError, UnsupportedModel, UsageError
from attnviz.model.backends import Options, placement
from attnviz.model.cost.limits import require_memory
from attnviz.model.inputs import require_fit
from attnviz.model.native.backend import Native
from attnviz.model.native.forward import KVCache
from attnviz.model.native.generation import generate, read_rules
from attnviz.model.native.opening import naming

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted


_MOST = 100_000
"""So many tokens a model without a limit writes at most; they are written one after the other."""
_FEW = 32
"""So many may be asked for of any model: one without room ends before."""


def generate_continuation(
    checkpoint: Checkpoint,
    options: Options,
    backend: Native | Hosted,
    source: Encoding,
    count: int,
    *,
    shown: bool = False,
) -> tuple[Encoding, Encoding | None]:
    """Let the model write ``count`` tokens greedily, or fewer where it ends the text or has no room.

    A decoder goes on with ``source``, which grows; an encoder–decoder writes its decoder's text, which is the second
    encoding. Our own forward pass writes in the native way, transformers in the hosted one. ``shown``: what is written
    runs next, for observers of its attention; as far as it can be, what was read is kept for them.

    All of it is under the interventions of ``backend``.

    Raises:
        InputError: the text leaves no room for a token; an intervention is of texts of one length.
        ModelError: the model has no head that predicts tokens, or says no token to begin with.
        UsageError: it writes in many languages, and nothing says in which.
    """
    two = "cross" in backend.kinds
    read = 1 if two else len(source)
    _require_growing(backend.interventions)
    _require_room(checkpoint, options, backend, read, count)
    if backend.limit is not None:
        count = min(count, backend.limit - read)
    if count < 1:
        raise InputError(f"the text has {read} tokens, all that the model takes: there is no room to go on")
    past: KVCache | None = None
    if isinstance(backend, Native):
        if shown and not two and backend.network.steady and not backend.interventions:
            past = KVCache(queries=True)
        with naming(checkpoint):
            first, ids = _native(checkpoint, backend, source, count, past)
    else:
        first, ids = _hosted(checkpoint, options, backend, source, count)
    if not two:
        written = append_generated(checkpoint.tokenizer, source, ids)
        if isinstance(backend, Native) and past is not None:
            backend.keep(written.ids, written.type_ids, past)
        return written, None
    begun = replace(decoder_start(checkpoint.tokenizer, first), lexicon=source.lexicon)
    return source, append_generated(checkpoint.tokenizer, begun, ids)


def _require_growing(interventions: Sequence[Intervention]) -> None:
    """Raise where one of the ``interventions`` has a value for each query of a text that grows."""
    for each in interventions:
        if each.sized and each.kind != "encoder":
            raise InputError(
                f"{type(each).__name__} has values for the queries of a text of one length, and this text grows",
                hint="While a model writes, heads can be zeroed, cut, frozen to uniform weights, or write a mean.",
            )


def _require_room(checkpoint: Checkpoint, options: Options, backend: Native | Hosted, read: int, count: int) -> None:
    """Raise where ``count`` tokens after those ``read`` are more than the model, or the memory, takes at all."""
    most = _MOST if backend.limit is None else backend.limit
    if count > max(most, _FEW):
        of = "attnviz lets a model write" if backend.limit is None else "the model takes"
        raise UsageError(f"`generate` asks for {count:,} tokens, and {of} {most:,} at most", hint="Ask for fewer.")
    if "cross" in backend.kinds:
        require_memory(checkpoint, options, 1, count)
    else:
        require_memory(checkpoint, options, read + count if backend.limit is None else min(read + count, backend.limit))


def _native(
    checkpoint: Checkpoint, backend: Native, source: Encoding, count: int, past: KVCache | None = None
) -> tuple[int, list[int]]:
    """The token before the first that is written, and those that are."""
    network = backend.network
    embedding = (network.encoder or network).spec.embedding
    require_fit(source, embedding.vocabulary, embedding.types)
    rules = read_rules(checkpoint.config, checkpoint.generation, network.spec.embedding.vocabulary)
    begin = opening(checkpoint, backend)
    rules = rules if begin is None else replace(rules, start=begin[0], first=begin[1])
    ids = generate(
        network, backend.language_head, source.ids, source.type_ids, rules=rules, count=count, past=past,
        interventions=backend.interventions,
    )  # fmt: skip
    start = network.spec.start if rules.start is None else rules.start
    return source.ids[-1] if start is None else start, ids


def opening(checkpoint: Checkpoint, backend: Native | Hosted) -> tuple[int, int | None] | None:
    """The token that a translation begins with, and the one that must follow; None where the configs say it.

    They say it where they name a language, unless another was asked for.

    Raises:
        UsageError: nothing says in which language it is to be written.
    """
    languages = checkpoint.languages
    if (
        languages is None
        or "cross" not in backend.kinds
        or not languages.leads(checkpoint.config, checkpoint.generation)
    ):
        return None
    return languages.opening(backend.start)


def _hosted(
    checkpoint: Checkpoint, options: Options, backend: Hosted, source: Encoding, count: int
) -> tuple[int, list[int]]:
    """As ``_native``."""
    from attnviz.model.hosted import intervened_writer, isolated, open_with_head

    writer = open_with_head(checkpoint, *placement(checkpoint, options), trust_remote_code=options.trust_remote_code)
    ids = torch.tensor([source.ids], device=writer.device)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": count}
    begin = opening(checkpoint, backend)
    changed = backend.interventions
    way: Any = intervened_writer(writer, len(source), backend.kinds, changed) if changed else isolated(writer)
    if begin is not None:
        given |= {"decoder_start_token_id": begin[0], "forced_bos_token_id": begin[1]}
    try:
        with way as more, quiet_transformers(), torch.inference_mode():
            written = writer.generate(**given, **(more or {}), do_sample=False, num_beams=1)[0].tolist()
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ImportError) as error:
        raise UnsupportedModel(
            f"{checkpoint.name}: transformers' {type(writer).__name__} can't go on with this text ({error})"
        ) from error
    read = 1 if "cross" in backend.kinds else len(source)
    return written[read - 1], written[read:]
