"""What a run keeps so that its record can say where information comes from: norms, rollout, flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnviz.analysis.text.measures import (
    along_paths,
    made_of,
    one_stack_error,
    require_predicting,
    require_values,
)
from attnviz.errors import UsageError
from attnviz.interface.records import Attention
from attnviz.record import WeightsName, measure_of
from attnviz.record.measure import ALONG_PATHS, ask_for, require_measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.attention.kernel import Observer
    from attnviz.attention.values import Values
    from attnviz.encoding import Encoding
    from attnviz.model.gradients import Gradients
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.targets import Asked, Target


class Measuring:
    """Makes a record of ``name`` from the record of a run's attention, and from what its ``observers`` kept."""

    def __init__(self, backend: Native | Hosted, name: WeightsName | None, most: int | None, model: str) -> None:
        """``most`` is the number of bytes that norms may take.

        Raises:
            UsageError: there is no such measure; the model can't give it.
        """
        require_measure(name)
        self._measure = measure_of(name)
        self._backend = backend
        self._most = most
        self._gradients: Gradients | None = None
        self._answer: Target | None = None
        self.observers: list[Observer] = []
        if self._measure.plain or self._measure.name in ALONG_PATHS:
            return
        if self._measure.name == "gradient":
            from attnviz.model.gradients import require_answer

            require_answer(backend, model)
            return
        require_values(backend.name, name)
        if self._measure.later:
            require_predicting(backend, model)
        from attnviz.attention.observers import KeptValues, ValueNorms, Weights

        self._norms = Weights(backend.layers, most)
        self._values = KeptValues()
        self.observers = [ValueNorms([self._norms]) if self._measure.name == "norm" else self._values]

    def run(
        self, tokenizer: Tokenizer, encoding: Encoding, written: Encoding | None, of: Asked, against: Asked
    ) -> None:
        """Run what was read once more, where the measure needs that: it is of the logit ``of`` an answer.

        Raises:
            UsageError: there is no such token or label.
            InputError: it would take too much memory.
        """
        if self._measure.name == "gradient" and self._backend.name == "native":
            from attnviz.model.gradients import find_gradients

            self._gradients = find_gradients(
                self._backend, tokenizer, encoding, written, of=of, against=against, most=self._most
            )
        elif self._measure.later and self._backend.name == "native" and (of is not None or against is not None):
            from attnviz.model.targets import find_token_target

            row = len(encoding) - 1
            logits = self._backend.next_logits(self._backend.run(encoding)[row])
            self._answer = find_token_target(tokenizer, encoding, row, logits, of, against)

    def of(self, found: Attention) -> Attention:
        """The record of the measure.

        Raises:
            InputError, UsageError: it is too much, or not defined for this model.
        """
        from attnviz.attention.observers import as_array

        name = self._measure.name
        if self._measure.plain:
            return found
        if name in ALONG_PATHS:
            return along_paths(found, name)
        if self._gradients is not None:
            return made_of(found, name, as_array(self._gradients.maps[found.kind])[:, None], self._gradients.note)
        if name == "norm":
            return made_of(found, name, as_array(self._norms.stacked(found.kind)))
        if found.kind != "self" and name != "norm+heads":
            raise one_stack_error(name, found.model)
        import torch

        values = [self._values.found[found.kind][number] for number in found.layer_numbers]
        with torch.inference_mode():
            weights = [torch.from_numpy(layer).to(values[0].values.device) for layer in found.weights]
            if name == "norm+heads":
                maps = torch.stack([each.summed_norms(a) for a, each in zip(weights, values, strict=True)])
            else:
                maps = self._through_layers(name, found, weights, values)
        answer = self._answer
        note = "" if answer is None else " ".join((f"y is {answer.title}, in every row", *answer.notes))
        return made_of(found, name, as_array(maps if self._measure.later else maps[:, None]), note)

    def _through_layers(
        self, name: WeightsName, found: Attention, weights: Sequence[Tensor], values: Sequence[Values]
    ) -> Tensor:
        """The maps for which attnviz's own layers are run."""
        if self._backend.name != "native":
            raise UsageError(
                f"{name} needs the layers of attnviz's own forward pass, and transformers runs {found.model}",
                hint=f"{ask_for('norm', 'norm+heads', 'rollout', 'flow')}.",
            )
        import torch

        from attnviz.model.native.contributions import added_to_predictions, changes_without, norms_with_residual

        states = [torch.from_numpy(each).to(weights[0].device) for each in found.states]
        if self._measure.later:
            read = found.encoding.ids, found.encoding.type_ids
            network, head = self._backend.network, self._backend.language_head
            answer = None
            if self._answer is not None:
                answer = head.matrix[self._answer.target.number].double()
                if self._answer.against is not None:
                    answer = answer - head.matrix[self._answer.against.number].double()
            return added_to_predictions(
                network, head, *read, weights, values, states, answer=answer, takes=name == "contribution-"
            )
        if name == "norm+residual":
            return norms_with_residual(self._backend.network, weights, values, states)
        return changes_without(self._backend.network, found.encoding.ids, weights, values, states)
