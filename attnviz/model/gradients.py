"""How an answer of the model depends on each attention weight: gradient × attention of one logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnviz.attention.memory import Room
from attnviz.attention.tile import Kind
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.model.inputs import BESIDE
from attnviz.model.native.gradient import gradient_maps, weight_gradients
from attnviz.model.targets import Asked, Target, find_label_target, find_token_target
from attnviz.record.measure import ask_for

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

_INSTEAD = f"{ask_for('zeroing', 'rollout')}; or attnviz ablate, how much changes without a head."
_COPIES = 4
"""So many times the weights of all heads is what autograd keeps of a run."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """The mean over heads of (A ⊙ ∂y/∂A)⁺, and what y is.

    Attributes:
        maps: of each kind of attention, (L, N, M).
        target: the token or the label whose logit y is.
        note: what y is, and what a reader must know of it, in a line.
    """

    maps: dict[Kind, Tensor]
    target: Target
    note: str


def require_answer(backend: Native | Hosted, model: str) -> None:
    """Raise a ``UsageError`` where there is no answer of the model that gradients could be of."""
    if backend.name != "native":
        raise UsageError(
            f"gradient needs attnviz's own forward pass, and transformers runs {model}",
            hint=f"{ask_for('norm', 'rollout')}; or attnviz ablate, how much changes without a head."
            if backend.name == "hosted"
            else f"{ask_for('rollout')}: it is made of the weights alone.",
        )
    if backend.labels is None and backend.network.spec.head is None:
        raise UsageError(
            f"gradient is of a logit, and {model} predicts no tokens and no labels: it has none", hint=_INSTEAD
        )
    if backend.network.spec.streams:
        raise UsageError(f"gradient is of a logit of {model}: {BESIDE}", hint=_INSTEAD)


def find_gradients(
    backend: Native,
    tokenizer: Tokenizer,
    read: Encoding,
    written: Encoding | None,
    *,
    of: Asked = None,
    against: Asked = None,
    most: int | None = None,
) -> Gradients:
    """Gradient × attention of one logit, or of the difference of two.

    It is the logit of a label of a classifier, the mean over the tokens where each has one; or of the token that a
    language model predicts next. Where the decoder's text beside an encoder has its end, it is that of its last token,
    which is predicted before.

    Args:
        backend: the model.
        tokenizer: its tokenizer.
        read: the text.
        written: what the decoder of an encoder–decoder reads.
        of: a word that may come next, or a label; None is what the model predicts, or what the decoder's text has.
        against: the one whose logit is taken off.
        most: how many bytes what is kept may take; None is a quarter of free memory.

    Raises:
        UsageError: there is no such label or token.
        InputError: it would take too much memory.
    """
    _require_room(backend, read, written, most)
    text = read if written is None else written
    found: list[Target] = []
    classifies = backend.labels is not None and backend.can_classify(text)

    def say(states: Any) -> Any:
        if backend.classifier and classifies:
            logits = backend.classifier(states, text.ids)
            logits = logits.mean(0) if logits.dim() > 1 else logits
            found.append(_label(backend, logits, of, against))
        else:
            row = _row(text, finished=written is not None)
            own = None if row == len(text) - 1 else text.ids[row + 1]
            logits = backend.language_head(states[row])
            wanted = own if of is None else of
            found.append(find_token_target(tokenizer, text, row, logits.detach(), wanted, against))
        return found[0](logits)

    ids = None if written is None else written.ids
    _, traced = weight_gradients(backend.network, read.ids, read.type_ids, ids, say, backend.interventions)
    return Gradients(gradient_maps(traced), found[0], " ".join((f"y is {found[0].title}", *found[0].notes)))


def _label(backend: Native, logits: Any, of: Asked, against: Asked) -> Target:
    if backend.labels is None:
        raise ValueError("the model has no labels")
    labels = backend.labels.prediction(logits.detach().float().cpu().numpy()).labels
    return find_label_target(labels, logits.detach(), of, against)


def _row(text: Encoding, *, finished: bool) -> int:
    """The token after which the answer comes: the last or, of a text that may be ``finished``, the one before its end.

    A text is finished where a special token ends it.
    """
    last = len(text) - 1
    if not finished or not text.special[last]:
        return last
    word = next((i for i in range(last, 0, -1) if not text.special[i]), last + 1)
    return word - 1


def _require_room(backend: Native, read: Encoding, written: Encoding | None, most: int | None) -> None:
    """Raise an ``InputError`` where there is no room for what autograd keeps."""
    n, m = len(read), len(written or ())
    sizes = {"self": n * n, "encoder": n * n, "decoder": m * m, "cross": m * n}
    weights = sum(heads * sizes[kind] for kind, heads in backend.heads.items())
    size = _COPIES * weights * max(4, backend.network.dtype.itemsize)
    Room(most, str(backend.network.device)).require(
        size, max(n, m), what="gradients of its weights", instead="rollout takes less"
    )
