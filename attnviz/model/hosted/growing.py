"""attnviz's kernel as the attention of transformers' ``generate``, which runs a text that grows, again and again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind
from attnviz.model.hosted import masks
from attnviz.model.hosted.attention import KernelAttention
from attnviz.model.hosted.isolation import attend_with


class GrowingAttention:
    """The attention function of several runs of one model, each with a ``KernelAttention`` of its own.

    A run begins where the model is called. The encoder of an encoder–decoder is called before that, by itself.

    Args:
        model: the model, with its head.
        read: how many tokens the model, or its encoder, reads first.
        kinds: its kinds of attention.
        interventions: what is put in the place of weights and of heads' outputs.
    """

    mask = staticmethod(masks.mask)

    def __init__(
        self, model: nn.Module, read: int, kinds: Sequence[Kind], interventions: Sequence[Intervention]
    ) -> None:
        self._model, self._interventions = model, interventions
        self._read, self._two = read, "cross" in kinds
        self._current = self._begun(1)

    def begin(self, _: nn.Module, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
        """Begin a run of what the model is ``given``, before its forward."""
        ids = given.get("decoder_input_ids" if self._two else "input_ids", args[0] if args else None)
        self._current = self._begun(int(ids.shape[1]))

    def _begun(self, tokens: int) -> KernelAttention:
        read = self._read
        shapes: dict[Kind, tuple[int, int]] = {"self": (tokens, tokens)}
        if self._two:
            shapes = {"encoder": (read, read), "decoder": (tokens, tokens), "cross": (tokens, read)}
        return KernelAttention(self._model, shapes, interventions=self._interventions)

    def __call__(self, module: nn.Module, *given: Any, **facts: Any) -> tuple[Tensor, None]:
        """Attend as the ``KernelAttention`` of this run."""
        return self._current(module, *given, **facts)


@contextlib.contextmanager
def intervened_writer(
    model: Any, read: int, kinds: Sequence[Kind], interventions: Sequence[Intervention]
) -> Iterator[dict[str, Any]]:
    """Let transformers' ``generate`` of a ``model`` attend with the kernel and its ``interventions`` inside the block.

    It gives the arguments that ``generate`` needs: each step runs the whole text, since the kernel sees no cache. The
    other arguments are as for ``GrowingAttention``; the model is restored afterwards.
    """
    hook = GrowingAttention(model, read, kinds, interventions)
    with attend_with(model, hook):
        removable = model.register_forward_pre_hook(hook.begin, with_kwargs=True)
        try:
            yield {"use_cache": False}
        finally:
            removable.remove()
