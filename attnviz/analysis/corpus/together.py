"""Run many short documents in packs, whatever is to be seen of them; what happens to one does not touch the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from attnviz.encoding import Encoding
from attnviz.errors import AttnvizError, InputError, ModelError

if TYPE_CHECKING:
    from attnviz.attention.texts import Bools
    from attnviz.model.native.backend import Native
    from attnviz.model.native.forward import Network

Seen = TypeVar("Seen")
See = Callable[["Network", Sequence[Encoding]], "tuple[Sequence[Seen], Bools]"]
"""(network, documents) → what is seen of each when they run as one pack, and which had finite scores."""


def nobody(*_: int) -> None:
    """A callback for progress that does nothing."""


def run_together(
    backend: Native, encodings: Sequence[Encoding], see: See[Seen], on_progress: Callable[[int, int], None] = nobody
) -> list[Seen | AttnvizError]:
    """Run the documents in packs of as many tokens as is fast; return what is seen of each, or its error, in order.

    Memory is bounded by the packs, not by how many documents there are. Of an encoder–decoder the encoder runs.
    ``on_progress`` is told after each pack how many more documents and tokens are done.
    """
    import torch

    from attnviz.attention.pipeline import in_order
    from attnviz.model.native.packed import pack

    network = backend.network.encoder or backend.network
    refused = [_refused(network, encoding) for encoding in encodings]
    found: dict[int, Seen | AttnvizError] = {number: error for number, error in enumerate(refused) if error}
    on_progress(len(found), 0)
    fit = [number for number, error in enumerate(refused) if not error]
    threads = torch.get_num_threads() if network.device.type == "cpu" else 1
    packs = [[fit[i] for i in numbers] for numbers in pack([len(encodings[number]) for number in fit], threads)]
    several = min(threads, len(packs)) if len(packs) > 1 else 1
    buffers = [torch.empty(0)] * (several + 1)  # packs have memory of their own
    results = in_order(
        lambda numbers, _: _pack(network, [encodings[number] for number in numbers], see), packs, buffers, several
    )
    for numbers, pack_found in zip(packs, results, strict=True):
        found |= zip(numbers, pack_found, strict=True)
        on_progress(len(numbers), sum(len(encodings[number]) for number in numbers))
    return [found[number] for number in range(len(encodings))]


def _refused(network: Network, encoding: Encoding) -> AttnvizError | None:
    """The error if the network can't read the document; else None."""
    from attnviz.model.inputs import require_fit

    embedding, limit = network.spec.embedding, network.spec.limit
    try:
        require_fit(encoding, embedding.vocabulary, embedding.types)
    except AttnvizError as error:
        return error
    if limit is not None and len(encoding) > limit:
        return InputError(f"the text has {len(encoding)} tokens, the model takes {limit}")
    return None


def _pack(network: Network, encodings: Sequence[Encoding], see: See[Seen]) -> Sequence[Seen | AttnvizError]:
    """See a pack; if it fails as a whole, its halves, and in the end each document alone."""
    from attnviz.model.inputs import as_error, not_finite

    try:
        found, finite = see(network, encodings)
    except (RuntimeError, MemoryError) as error:
        if len(encodings) == 1:
            return [as_error(error)]
    else:
        if finite.all():
            return found
        why = not_finite(network.tensors)
        return [
            one if good else ModelError(why.message, hint=why.hint) for one, good in zip(found, finite, strict=True)
        ]
    half = len(encodings) // 2
    halves = encodings[:half], encodings[half:]
    return [one for some in halves for one in _pack(network, some, see)]
