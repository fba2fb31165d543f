"""How what a model says in the end depends on each attention weight: ∂y/∂A, by a run that autograd can follow.

The network is the same; only its attention is computed by the plain definition, whose weights are kept. No parameter
needs a gradient, so what is kept beside the weights is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention, at_layer
from attnviz.attention.kernel import Kind
from attnviz.attention.scores import weights_of
from attnviz.attention.tile import Tile
from attnviz.model.native.forward import Network
from attnviz.model.native.run import Run, Sublayer


class Traced(Run):
    """A run that keeps the weights (H, N, M) of each attention, as autograd knows them; after all interventions."""

    def __init__(
        self,
        count: int,
        device: torch.device,
        memory: Tensor | None = None,
        interventions: Sequence[Intervention] = (),
    ) -> None:
        super().__init__(count, device, memory=memory, interventions=interventions)
        self.weights: dict[tuple[Kind, int], Tensor] = {}

    def attend(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor | None) -> Tensor:
        """As any run, (T, H·D), by the definition of the kernel."""
        if v is None:
            raise ValueError("gradients need values")
        spec, exact = own.spec, torch.promote_types(q.dtype, torch.float32)
        grouped = (q.to(exact) * spec.scale).reshape(spec.kv_heads, -1, q.shape[-1])  # (H, N, D) → (G, H/G·N, D)
        scores = (grouped @ k.to(exact).mT).view(spec.heads, q.shape[1], -1)
        weights = weights_of(scores, self.positions, own.bias(q, k), spec.softcap, own.window, own.sinks)
        changed = at_layer(self.interventions, own.layer, own.kind)
        weights = weights.clone() if changed else weights
        for each in changed:
            h, n, m = weights.shape
            each.weights(Tile(own.layer, 0, 0, weights, (h, n, m), own.kind, window=own.window))
        if not weights.requires_grad:  # nothing before it depends on weights
            weights.requires_grad_()
        self.weights[own.kind, own.layer] = weights
        mixed = weights.to(v.dtype).view(spec.kv_heads, -1, weights.shape[-1]) @ v
        context = mixed.view(spec.heads, q.shape[1], -1)
        context = context if own.gate is None else context * own.gate
        for each in changed:
            each.context(context)
        return context.transpose(0, 1).flatten(1)  # (H, T, D) → (T, H·D)


def weight_gradients(
    network: Network,
    ids: Sequence[int],
    type_ids: Sequence[int],
    target: Sequence[int] | None,
    say: Callable[[Tensor], Tensor],
    interventions: Sequence[Intervention] = (),
) -> tuple[Tensor, dict[tuple[Kind, int], tuple[Tensor, Tensor]]]:
    """Return the last hidden states (T, C), and the weights A and gradients ∂y/∂A (H, N, M) of each attention.

    Args:
        network: the network.
        ids: the token ids, for the encoder where there is one.
        type_ids: their types.
        target: the ids that a decoder beside an encoder reads.
        say: what the model says, y, by its last hidden states (T, C).
        interventions: what is put in the place of weights and of heads' outputs; A is what is there then.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        runs, memory, read, types = [], None, ids, type_ids
        if network.encoder:
            if target is None:
                raise ValueError("the decoder needs a text")
            runs.append(Traced(len(ids), network.device, interventions=interventions))
            memory, read, types = network.encoder.through(ids, type_ids, runs[0], whole=True), target, ()
        runs.append(Traced(len(read), network.device, memory, interventions))
        states = network.through(read, types, runs[-1], whole=True)
        kept = {at: weights for run in runs for at, weights in run.weights.items()}
        found = torch.autograd.grad(say(states), [*kept.values()], allow_unused=True, materialize_grads=True)
    return states.detach(), {
        at: (weights.detach(), each) for (at, weights), each in zip(kept.items(), found, strict=True)
    }


def gradient_maps(found: dict[tuple[Kind, int], tuple[Tensor, Tensor]]) -> dict[Kind, Tensor]:
    """The mean over heads of (A ⊙ ∂y/∂A)⁺ of each kind and layer, (L, N, M) (Chefer et al. 2021, equation 5)."""
    kinds = dict.fromkeys(kind for kind, _ in found)
    return {
        kind: torch.stack([
            (weights * gradient).clamp(min=0).mean(0) for (of, _), (weights, gradient) in found.items() if of == kind
        ])
        for kind in kinds
    }  # fmt: skip
