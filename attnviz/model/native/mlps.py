"""MLPs and mixtures of experts, computed from their tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.attention.block_sizes import TOGETHER
from attnviz.model.architecture.activations import ACTIVATIONS, xielu
from attnviz.model.architecture.spec import MLP, XIELU, AnyMLP, Experts, GatedMLP, MLPAndExperts, NearBest, Sigmoid
from attnviz.model.native.parts import Parts
from attnviz.model.native.run import Run


class MLPs(Parts):
    """Computes MLPs; each is named ``at`` as in ``tensor_shapes``."""

    def _mlp(self, at: str, spec: AnyMLP, x: Tensor, run: Run | None = None) -> Tensor:
        """What an MLP makes of the states ``x`` (T, C); they are those of a ``run`` where experts may be crowded."""
        if isinstance(spec, MLPAndExperts):
            dense = self._mlp(at, spec.mlp, self._norm(f"{at}.norm", spec.norm, x))
            mixture = self._mlp(f"{at}.mixture", spec.experts, x, run)
            dense = self._norm(f"{at}.dense_norm", spec.norm, dense)
            return dense + self._norm(f"{at}.mixture.norm_after", spec.norm, mixture)
        if not isinstance(spec, Experts):
            return _in_parts(partial(self._expert, at, spec), x)
        shares, chosen = self._routed(at, spec, self._norm(f"{at}.router_norm", spec.norm, x) if spec.norm else x)
        x = self._norm(f"{at}.norm", spec.norm, x) if spec.norm else x
        if spec.capacity and run and len(run.positions) > spec.capacity:
            count = partial(torch.cumsum, dim=-1)
            places = run.neighbours(count, functional.one_hot(chosen, spec.count).sum(-2)).gather(-1, chosen)
            shares = shares * (places <= spec.capacity)
        return _in_parts(partial(self._experts, at, spec), x, shares, chosen)

    def _expert(self, at: str, spec: MLP | GatedMLP, x: Tensor, number: int | None = None) -> Tensor:
        """The MLP of the tensors ``at``; if these are those of several, of the one of that ``number``."""
        up = self._linear(f"{at}.up", x, number)
        if not isinstance(spec, GatedMLP):
            return self._linear(f"{at}.down", self._activate(f"{at}.activation", spec.activation, up), number)
        gate = self._linear(f"{at}.gate", x, number)
        if spec.limit is not None:
            gate, up = gate.clamp(max=spec.limit), up.clamp(-spec.limit, spec.limit)
        gate = self._activate(f"{at}.activation", spec.activation, gate)
        return self._linear(f"{at}.down", _times(gate, up + spec.offset if spec.offset else up), number)

    def _activate(self, at: str, activation: str | XIELU, x: Tensor) -> Tensor:
        if isinstance(activation, str):
            return ACTIVATIONS[activation](x)
        names = {"beta": activation.beta, "eps": activation.eps}
        fixed = (self.tensors.get(f"{at}.{name}", x.new_tensor(value)) for name, value in names.items())
        return xielu(x, self.tensors[f"{at}.positive"], self.tensors[f"{at}.negative"], *fixed)

    def _experts(self, at: str, spec: Experts, x: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
        """What the ``chosen`` experts make of the states ``x``, by the ``shares`` of each (T, chosen)."""
        found = torch.zeros_like(x)
        for number in sorted({*chosen.flatten().tolist()}):
            tokens, places = torch.where(chosen == number)
            share = shares[tokens, places, None]
            reads = x[tokens] * share if spec.entering else x[tokens]
            written = self._expert(f"{at}.experts", spec.expert, reads, number)
            found = found.index_add(0, tokens, written if spec.entering else written * share)
        if spec.shared is None:
            return found
        shared = self._expert(f"{at}.shared", spec.shared, x)
        return found + (torch.sigmoid(self._linear(f"{at}.shared_gate", x)) * shared if spec.gated else shared)

    def _routed(self, at: str, spec: Experts, x: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of the chosen experts of each token, and their numbers, (T, chosen) each."""
        scores = self._linear(f"{at}.router", x)
        scores = scores.to(torch.promote_types(x.dtype, torch.float32))
        scores = scores if spec.sharpness == 1 else scores * spec.sharpness
        match spec.shares:
            case "all" | "chosen":
                scores = scores.softmax(-1)
            case Sigmoid():
                scores = scores.sigmoid()
        chosen = self._chosen(at, spec, scores)
        best = scores.gather(-1, chosen)
        match spec.shares:
            case "all":
                shares = best
            case "chosen" | Sigmoid(normed=True):
                least = spec.shares.eps if isinstance(spec.shares, Sigmoid) else 1e-20
                shares = best / (best.sum(-1, keepdim=True) + least)
            case Sigmoid():
                shares = best
            case NearBest(tolerance):
                each = []
                left = scores
                for i in range(spec.chosen):
                    far = (best[:, i, None] - scores) / scores.abs().maximum(best[:, i, None]) > tolerance
                    each.append(left.masked_fill(far, -torch.inf).softmax(-1).gather(-1, chosen[:, i, None]))
                    left = left.scatter(-1, chosen[:, i, None], -torch.inf)
                shares = torch.cat(each, -1)
        if spec.weighted:
            shares = shares * self.tensors[f"{at}.weights"][chosen]
        return (shares if spec.factor == 1 else shares * spec.factor).to(x.dtype), chosen

    def _chosen(self, at: str, spec: Experts, scores: Tensor) -> Tensor:
        """The numbers of the experts that the ``scores`` (T, count) choose, the best first, (T, chosen)."""
        if spec.corrected:
            scores = scores + self.tensors[f"{at}.correction"]
        if spec.groups:
            each = torch.unflatten(scores, -1, (spec.groups.count, -1))  # (T, groups, experts of each)
            best = each.topk(spec.groups.best, dim=-1).values.sum(-1).topk(spec.groups.chosen, dim=-1).indices
            left = torch.ones_like(each[..., 0], dtype=torch.bool).scatter(-1, best, value=False)
            scores = each.masked_fill(left[..., None], -torch.inf).flatten(-2)
        return scores.topk(spec.chosen, dim=-1).indices


def _in_parts(compute: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """What ``compute`` makes of the rows of what is ``given``, of not too many at once."""
    parts = zip(*(torch.split(each, TOGETHER) for each in given), strict=True)
    found = [compute(*part) for part in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


def _times(one: Tensor, other: Tensor) -> Tensor:
    """Their product, in the place of ``one`` unless autograd needs that."""
    return one * other if one.requires_grad else one.mul_(other)
