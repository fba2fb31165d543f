"""Convert a tokenizer that transformers runs with SentencePiece into a fast one, which knows its pieces' offsets."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from attnviz.encoding import declare_unreadable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_UNIGRAM, _BPE = 1, 2
"""SentencePiece's numbers for the types of models that can be converted."""
_NORMAL, _UNKNOWN, _CONTROL, _DEFINED = 1, 2, 3, 4
"""SentencePiece's numbers for the types of pieces."""
_TABLES = ("lang_token_to_id", "lang_code_to_id", "fairseq_tokens_to_ids")
"""The attributes in which tokenizers keep ids that SentencePiece does not know."""


def convert_sentencepiece(tokenizer: Any) -> Tokenizer | None:
    """Return a fast tokenizer with the pieces and ids of ``tokenizer``; None if its type can't be converted.

    The check compares the ids of each text with those of ``tokenizer`` itself.
    """
    from transformers.convert_slow_tokenizer import SpmConverter, import_protobuf

    model = import_protobuf().ModelProto()
    model.ParseFromString(tokenizer.sp_model.serialized_model_proto())
    if model.trainer_spec.model_type not in (_UNIGRAM, _BPE) or model.trainer_spec.byte_fallback:
        return None
    made = _of_pieces(model, tokenizer)
    made.normalizer = SpmConverter.normalizer(None, model)
    made.pre_tokenizer, made.decoder = _spaces()
    _mark(made, model, tokenizer)
    return made


def _of_pieces(model: Any, tokenizer: Any) -> Tokenizer:
    """Return a ``tokenizers`` model with the ids of ``tokenizer``."""
    from tokenizers import Tokenizer, models
    from transformers.tokenization_utils_base import generate_merges

    unknown = str(tokenizer.unk_token)
    pieces = {each.piece: each.score for each in model.pieces if each.type not in (_UNKNOWN, _CONTROL)}
    ids = {piece: tokenizer.convert_tokens_to_ids(piece) for piece in pieces}
    ids = {piece: number for piece, number in ids.items() if number != tokenizer.unk_token_id}
    ids |= _specials(tokenizer)
    if model.trainer_spec.model_type == _BPE:
        # Merges are ordered as in SentencePiece, which may differ from the order of the ids.
        merges = generate_merges({piece: rank for rank, piece in enumerate(pieces) if piece in ids})
        return Tokenizer(models.BPE(ids, merges, unk_token=unknown, fuse_unk=True))
    by_id = {number: piece for piece, number in ids.items()}
    names = [by_id.get(number, f"<no piece {number}>") for number in range(max(by_id) + 1)]
    scored = [(name, pieces.get(name, 0.0)) for name in names]
    return Tokenizer(models.Unigram(scored, unk_id=tokenizer.unk_token_id, byte_fallback=False))


def _specials(tokenizer: Any) -> dict[str, int]:
    tables = chain.from_iterable(getattr(tokenizer, name, {}) for name in _TABLES)
    names = dict.fromkeys([*map(str, tokenizer.all_special_tokens), *tables])
    found = {name: tokenizer.convert_tokens_to_ids(name) for name in names if not name[:1].isalnum()}
    unknown = str(tokenizer.unk_token)
    return {name: number for name, number in found.items() if number != tokenizer.unk_token_id or name == unknown}


def _spaces() -> tuple[Any, Any]:
    from tokenizers import decoders, pre_tokenizers

    scheme: dict[str, Any] = {"prepend_scheme": "always"}
    return pre_tokenizers.Metaspace(**scheme), decoders.Metaspace(**scheme)


def _mark(made: Tokenizer, model: Any, tokenizer: Any) -> None:
    """Declare the special tokens, and add those around a text that ``tokenizer`` adds."""
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    own = {str(token): token for token in tokenizer.added_tokens_decoder.values()}
    specials = [own.get(name, AddedToken(name, normalized=False)) for name in _specials(tokenizer)]
    made.add_special_tokens(specials)
    declare_unreadable(
        made,
        [token.content for token in specials if tokenizer.tokenize(token.content) != [token.content]],
        "the mark of a language, which the model's own tokenizer reads as letters there, and attnviz can't",
        "Leave it out, or put a space into it; `source_lang` and `target_lang` say the languages.",
    )
    made.add_tokens([AddedToken(each.piece, normalized=False) for each in model.pieces if each.type == _DEFINED])
    text, pair = tokenizer.unk_token_id, -1

    def written(ids: list[int]) -> list[str]:
        return ["$A" if number == text else "$B" if number == pair else str(made.id_to_token(number)) for number in ids]

    single = tokenizer.build_inputs_with_special_tokens([text])
    double = tokenizer.build_inputs_with_special_tokens([text], [pair])
    marks = {*single, *double} - {text, pair}
    made.post_processor = TemplateProcessing(
        single=written(single), pair=written(double), special_tokens=[(str(made.id_to_token(i)), i) for i in marks]
    )
