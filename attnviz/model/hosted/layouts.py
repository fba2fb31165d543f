"""How some models lay out the weights that they hand in: windows, blocks, pooled tokens; and the matrix of each.

Each function makes (H, N, M) of what one layer hands in. Where the model computes no weight the matrix has zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnviz.attention.kernel import Kind
from attnviz.model.hosted.hashed import hashed_weights
from attnviz.model.inputs import OF_THE_TEXT


@dataclass(frozen=True)
class Layer:
    """What a layer hands in.

    Args:
        given: its weights, as the model lays them out.
        output: the output of the whole model.
        number: which of the model's maps of this kind it is.
        kind: the kind of its map.
        shape: (N, M), the queries and keys of the text.
        config: the model's config.
        caught: by the names of modules that match ``Layout.catch``, what each gave, call by call.
    """

    given: Any
    output: Any
    number: int
    kind: Kind
    shape: tuple[int, int]
    config: Any
    caught: Mapping[str, Sequence[Any]]


def _leave(model: nn.Module, count: int) -> None:
    """Leave a model as it is."""


def _full_where_short(model: Any, count: int) -> None:
    """Exchange the attention of a BigBird as it does itself, but in time for what takes down its weights."""
    if not _in_blocks(model.config, count):
        model.set_attention_type("original_full")


def _in_blocks(config: Any, count: int) -> bool:
    """Whether a BigBird reads a text of so many tokens in blocks."""
    short = (5 + 2 * int(config.num_random_blocks)) * int(config.block_size)
    return bool(config.attention_type == "block_sparse") and count > short


@dataclass(frozen=True)
class Layout:
    """How models of a type lay out their weights.

    Args:
        matrix: makes (H, N, M) of what a layer hands in.
        note: what a reader must know; names of the config's attributes in braces are filled in.
        part: whether the rows of a map sum to 1 or less, since something beside the text takes the rest.
        prepare: brings the model into the state in which it reads a text of so many tokens, before it runs.
        by_head: whether the head of a classifier says which tokens see all.
        catch: a pattern of the names of modules whose outputs ``matrix`` needs beside.
    """

    matrix: Callable[[Layer], Any]
    note: str = ""
    part: bool = False
    prepare: Callable[[Any, int], None] = _leave
    by_head: bool = False
    catch: str = ""

    def said(self, config: Any) -> str:
        """Return the note on a model of this ``config``."""
        return re.sub(r"{(\w+)}", lambda found: _largest(getattr(config, found[1])), self.note)


def _largest(value: Any) -> str:
    return str(max(value) if isinstance(value, list | tuple) else value)


def layout_of(model: nn.Module) -> Layout:
    """Return how ``model`` lays out its weights: as (1, H, N, M), if it is not one of transformers that is known."""
    own = type(model).__module__.startswith("transformers.")
    return _LAYOUTS.get(getattr(model.config, "model_type", ""), _PLAIN) if own else _PLAIN


def place(blocks: Tensor, shape: tuple[int, int], *, key: int = 0, query: int = 0, around: int | None = None) -> Tensor:
    """Return the matrix (H, N, M) of weights in ``blocks`` (H, B, K, W).

    Args:
        blocks: of each block of K queries the weights of W keys.
        shape: (N, M).
        key: where the first key of the first block stands, as seen from its first query.
        query: where the first query of the first block stands.
        around: the length at which keys begin again at 0, if they do.
    """
    heads, count, size, width = blocks.shape
    first = query + size * torch.arange(count, device=blocks.device)[:, None, None]  # (B, 1, 1)
    rows = first + torch.arange(size, device=blocks.device)[:, None]  # (B, K, 1)
    columns = first + key + torch.arange(width, device=blocks.device)  # (B, 1, W)
    if around:
        columns = columns % around
    there = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])  # (B, K, W)
    made = blocks.new_zeros(heads, shape[0] * shape[1])
    made.index_add_(1, (rows * shape[1] + columns)[there], blocks[:, there])
    return made.view(heads, *shape)


def _plain(layer: Layer) -> Any:
    return layer.given


def _cropped(layer: Layer) -> Any:
    """A matrix with rows and columns of padding behind the text."""
    return layer.given[..., : layer.shape[0], : layer.shape[1]]


def _sparse_blocks(layer: Layer) -> Any:
    """Blocks of a text that all see its first and last ones (BigBird: Zaheer et al. 2020).

    Where a text is only read, and not trained on, the random blocks of transformers' BigBird are all the first one. Its
    softmax counts that as often, and the weights that it hands in have it once.
    """
    config, size = layer.config, layer.config.block_size
    if layer.kind not in ("self", "encoder") or not _in_blocks(config, layer.shape[0]):
        return _cropped(layer)
    weights = layer.given.clone()
    weights[..., size : weights.shape[-2] - size, :size] *= 1 + config.num_random_blocks
    return weights[..., : layer.shape[0], : layer.shape[1]]


def _windowed(layer: Layer) -> Any:
    """Windows around each query, behind the weights of tokens that all see (Longformer: Beltagy et al. 2020)."""
    if layer.kind not in ("self", "encoder"):
        return layer.given
    everywhere = getattr(layer.output, _GLOBAL[layer.kind], None)  # of each layer (1, H, padded N, G)
    given = layer.given[0]  # (H, N, G + 2w + 1)
    count = 0 if everywhere is None else everywhere[layer.number].shape[-1]
    reach = (given.shape[-1] - count - 1) // 2
    made = place(given[..., None, count:], layer.shape, key=-reach)
    if everywhere is not None:  # they are the first tokens, which see all
        made[..., :count] += given[..., :count]
        made[:, :count] = everywhere[layer.number][0, :, : layer.shape[0]].transpose(1, 2)
    return made[None]


_GLOBAL: Mapping[str, str] = {"self": "global_attentions", "encoder": "encoder_global_attentions"}


def _three_blocks(layer: Layer) -> Any:
    """Blocks that see those before and after them, and summaries of blocks (LongT5: Guo et al. 2022)."""
    if layer.kind not in ("self", "encoder"):
        return layer.given
    blocks = layer.given[0].transpose(0, 1)  # (H, B, K, 3K + G)
    size = blocks.shape[2]
    return place(blocks[..., : 3 * size], layer.shape, key=-size)[None]


def _staggered_blocks(layer: Layer) -> Any:
    """Blocks, in every other layer moved by half of one, behind vectors that all see (Pegasus-X: Phang et al. 2022)."""
    if layer.kind != "encoder":
        return layer.given
    blocks = layer.given["local"][0]  # (H, B, K, G + K)
    size = blocks.shape[2]
    moved = layer.number % 2 == 1 and layer.config.stagger_local_blocks
    return place(blocks[..., -size:], layer.shape, query=-(size // 2) if moved else 0)[None]


def _chunked(layer: Layer) -> Any:
    """Chunks that see chunks before and after, the first one the last; sorted by hashes in some layers (Reformer:
    Kitaev et al. 2020).
    """
    if layer.given.dim() == 4:  # one chunk
        return _cropped(layer)
    chunks, config = layer.given[0], layer.config  # (H, B, K, (before + 1 + after) · K)
    _, count, size, _ = chunks.shape
    if config.attn_layers[layer.number] == "local":
        return place(chunks, layer.shape, key=-size * config.local_num_chunks_before, around=count * size)[None]
    at = f"encoder.layers.{layer.number}.attention.self_attention"
    buckets, made = layer.caught[at][0].buckets[0], layer.caught[f"{at}.query_key"][0][0]  # (H, R, N) and (N, H·D)
    vectors = made.unflatten(-1, (len(chunks), -1)).transpose(0, 1)
    reach = {"before": config.lsh_num_chunks_before, "after": config.lsh_num_chunks_after}
    return hashed_weights(chunks, buckets, vectors, **reach)[None, :, : layer.shape[0], : layer.shape[1]]


def _molecules(layer: Layer) -> Any:
    """Characters in chunks, then molecules of some characters each, then characters (CANINE: Clark et al. 2022)."""
    count, last = layer.shape[0], layer.config.num_hidden_layers + 1
    if layer.number == 0:
        (chunks,) = layer.caught.values()  # of each the outputs, with weights (1, H, K, K)
        made = layer.given.new_zeros(layer.given.shape[1], *layer.shape)
        start = 0
        for _, weights in chunks:
            stop = start + weights.shape[-1]
            made[:, start:stop, start:stop] = weights[0]
            start = stop
        return made[None]
    if layer.number == last:
        return layer.given
    rate, size = layer.config.downsampling_rate, layer.given.shape[-1]
    tokens = torch.arange(count)
    groups = [[0], *(list(range(start, start + rate)) for start in range(0, rate * (size - 1), rate))]
    whose = (1 + tokens // rate).clamp(max=size - 1)
    whose[0] = 0
    return spread(layer.given[0], groups, whose, count)[None]


def _pooled(layer: Layer) -> Any:
    """Tokens pooled by twos, again in each block of layers (Funnel: Dai et al. 2020)."""
    count = layer.shape[0]
    groups: list[list[int]] = [[each] for each in range(count)]
    levels = {count: groups}
    while len(groups) > (2 if layer.config.separate_cls else 1):
        kept = groups[:-1] if layer.config.separate_cls and layer.config.truncate_seq else groups
        before = [groups[0], *kept] if layer.config.separate_cls else groups
        groups = [sorted({*one, *(token for other in rest for token in other)}) for one, *rest in _pairs(before)]
        levels[len(groups)] = groups
    queries, keys = layer.given.shape[-2:]
    whose = torch.full((count,), -1)
    for number, tokens in enumerate(levels[queries]):
        whose[tokens] = number
    return spread(layer.given[0], levels[keys], whose, count)[None]


def _pairs(groups: Sequence[list[int]]) -> list[Sequence[list[int]]]:
    return [groups[at : at + 2] for at in range(0, len(groups), 2)]


def spread(weights: Tensor, keys: Sequence[Sequence[int]], whose: Tensor, count: int) -> Tensor:
    """Return the matrix (H, N, N) of weights (H, P, Q) between pooled tokens.

    A token looks as the pooled token ``whose`` (N,) it is does, and not at all where that is −1; each pooled key shares
    its weight evenly among its tokens.
    """
    shares = weights.new_zeros(len(keys), count)
    for number, tokens in enumerate(keys):
        shares[number, list(tokens)] = 1 / len(tokens)
    looking = (whose >= 0).to(weights)[:, None]
    return weights[:, whose.clamp(min=0)] @ shares * looking


def _scores(layer: Layer) -> Any:
    """The model hands in what it makes its weights of by a softmax, but of the decoder's own text; rows behind those of
    the text are of streams that predict (ProphetNet: Qi et al. 2020).
    """
    given = layer.given[..., : layer.shape[0], :]
    return given.softmax(-1) if layer.kind in ("encoder", "cross") else given


_BLOCKS = "in blocks of {block_size} tokens where the text is long: 0 beyond"
_PLAIN = Layout(_plain)
_LAYOUTS: Mapping[str, Layout] = {
    "big_bird": Layout(_sparse_blocks, _BLOCKS, prepare=_full_where_short),
    "bigbird_pegasus": Layout(_sparse_blocks, _BLOCKS),
    "canine": Layout(
        _molecules,
        "in chunks of {local_transformer_stride} characters, then pooled by {downsampling_rate}: pooled keys share "
        "their weight evenly",
        catch=r"^initial_char_encoder\.layer\.0\.attention\.self$",
    ),
    "cpmant": Layout(_plain, "{prompt_length} vectors before the text take a share of its weights", part=True),
    "funnel": Layout(_pooled, "pooled by twos from block to block: pooled keys share their weight evenly", part=True),
    "inkling2_text": Layout(_plain, "sinks take a share of the weights", part=True),
    "led": Layout(_windowed, "in windows of {attention_window} tokens: 0 beyond"),
    "longformer": Layout(_windowed, "in windows of {attention_window} tokens: 0 beyond", by_head=True),
    "longt5": Layout(
        _three_blocks,
        "{encoder_attention_type} attention: up to {local_radius} tokens away, 0 beyond; sums of blocks beside the "
        "text, where there are any, take a share",
        part=True,
    ),
    "pegasus_x": Layout(
        _staggered_blocks,
        "in blocks of {block_size} tokens: 0 beyond; {num_global_tokens} vectors beside the text take a share",
        part=True,
    ),
    "prophetnet": Layout(_scores, OF_THE_TEXT),
    "reformer": Layout(
        _chunked,
        "in chunks where the text is long: 0 beyond",
        catch=r"^encoder\.layers\.\d+\.attention\.self_attention(\.query_key)?$",
    ),
    "xlnet": Layout(_plain, "the stream of contents"),
}
