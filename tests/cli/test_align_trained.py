"""A model that is trained to translate a made-up language links its words as they correspond."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration

from tests.cli.conftest import Run

_WORDS, _STEPS = 16, 900
_MARKS = ["<s>", "<pad>", "</s>", "<unk>"]
_VOCABULARY = {
    word: i for i, word in enumerate([*_MARKS, *(f"{side}{i}" for side in "st" for i in range(_WORDS))])
}  # fmt: skip


def pair() -> tuple[list[str], list[str], list[str]]:
    """A sentence, its translation word by word, in which adjectives and nouns change places, and the links."""
    words = [random.randrange(_WORDS) for _ in range(random.randint(3, 8))]
    order, i = list[int](), 0
    while i < len(words):
        swapped = words[i] < _WORDS // 2 <= (words[i + 1] if i + 1 < len(words) else 0)
        order += [i + 1, i] if swapped else [i]
        i += 1 + swapped
    links = [f"{source}-{target}" for target, source in enumerate(order)]
    return [f"s{word}" for word in words], [f"t{words[place]}" for place in order], links


def trained(folder: Path) -> Path:
    """A small BART, trained for half a minute."""
    tokenizer = Tokenizer(models.WordLevel(_VOCABULARY, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    tokenizer.add_special_tokens(_MARKS)
    shape = {
        "d_model": 32, "encoder_layers": 1, "decoder_layers": 3, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 32,
        "decoder_start_token_id": 2, "forced_eos_token_id": None, "dropout": 0.0, "vocab_size": len(_VOCABULARY),
    }  # fmt: skip
    model = BartForConditionalGeneration(BartConfig(**shape))
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)

    def batch(side: int, pairs: list[tuple[list[str], ...]], fill: int) -> torch.Tensor:
        rows = [torch.tensor([*(_VOCABULARY[word] for word in each[side]), 2]) for each in pairs]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)

    for step in range(_STEPS):
        pairs = [pair() for _ in range(32)]
        source = batch(0, pairs, 1)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, step / 100) * (1 - step / _STEPS)
        loss = model(input_ids=source, attention_mask=(source != 1).long(), labels=batch(1, pairs, -100)).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.slow
def test_the_heads_of_a_trained_model_link_what_corresponds(run: Run, tmp_path: Path) -> None:
    random.seed(0)
    torch.manual_seed(0)
    model = trained(tmp_path / "model")
    pairs = [pair() for _ in range(100)]
    (tmp_path / "pairs").write_text("".join(f"{' '.join(a)} ||| {' '.join(b)}\n" for a, b, _ in pairs))
    (tmp_path / "gold").write_text("".join(" ".join(links) + "\n" for *_, links in pairs))
    result = run("align", "--pairs", tmp_path / "pairs", "--gold", tmp_path / "gold", "-m", model, "--json")
    rows = json.loads(result.out)["rows"]
    best = min(rows, key=lambda row: float(row["aer_odd"]))
    assert best["aer_even"] < 0.1
    # Each word has one translation: it is known before it is read, and little is left to look for then.
    assert best["step"] == "predicts"
    worst = max(rows, key=lambda row: float(row["aer_odd"]))
    assert worst["aer_even"] > 0.5
