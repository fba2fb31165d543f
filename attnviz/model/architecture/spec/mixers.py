"""What mixes the tokens of a layer in the place of attention: there are no weights of one token on another."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.model.architecture.spec.norms import RMSNorm


@dataclass(frozen=True)
class GatedDelta:
    """Each head has a state S of keys × values, which each token lets decay and then corrects:
    S_t = α S_{t−1} + k (β (v − α S_{t−1}ᵀ k))ᵀ, and the head gives S_tᵀ q (Yang et al. 2024, "Gated Delta Networks").

    Queries, keys and values leave a convolution over each token and those before it; queries and keys have the length
    1, but for what ``eps`` adds under the root, and queries are divided by √``key_size``. β is ``rate`` · σ(w · x), and
    α is exp(−exp(a) · softplus(w' · x + b)) with a learned number a of each head. What a head gives is normed, and
    multiplied by the activation of its gate.

    Args:
        key_heads: how many heads of keys there are, and of queries; those of values share them in groups.
        heads: how many heads of values there are, each of which has a state.
        key_size: the size of a key.
        value_size: the size of a value.
        convolution: over how many tokens the convolution goes.
        activation: what follows the convolution, and is of the gate.
        norm: the norm of what a head gives.
        rate: the largest β.
        eps: what is added to the squared length of queries and keys.
    """

    key_heads: int
    heads: int
    key_size: int
    value_size: int
    convolution: int
    activation: str
    norm: RMSNorm
    rate: float = 1.0
    eps: float = 1e-6

    @property
    def keys(self) -> int:
        """The numbers of all keys of a token."""
        return self.key_heads * self.key_size

    @property
    def values(self) -> int:
        """The numbers of all values of a token."""
        return self.heads * self.value_size

    def numbers(self, width: int) -> int:  # noqa: ARG002
        """The numbers that are made of a token of ``width`` numbers."""
        return 2 * (self.keys + self.values)

    def multiplications(self, width: int) -> int:  # noqa: ARG002
        """How many numbers are multiplied for a token beside those of matrices: states are read, corrected, asked."""
        return 3 * self.heads * self.key_size * self.value_size + self.convolution * (2 * self.keys + self.values)


@dataclass(frozen=True)
class ShortConvolution:
    """output(c · convolution(b · x)): b, c and x are made of each token, and the convolution is over it and those
    before it, ``size`` in all, number by number (Liquid AI 2025, "LFM2").

    ``bias`` says whether all of this has biases.
    """

    size: int
    bias: bool = False

    def numbers(self, width: int) -> int:
        """The numbers that are made of a token of ``width`` numbers."""
        return 3 * width

    def multiplications(self, width: int) -> int:
        """How many numbers are multiplied for a token beside those of matrices."""
        return (self.size + 2) * width


Mixer = GatedDelta | ShortConvolution
