"""What ablation must show: of a model that is made by hand, of a real one, and beside TransformerLens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import attnviz
from attnviz.analysis.corpus.induction import neither_common_nor_rare, of_tokens
from attnviz.attention.interventions import Intervention, Zero
from attnviz.errors import UsageError
from attnviz.manual import chapter
from attnviz.model.outcomes import Readout
from tests import tiny
from tests.analysis.test_ablation import LLAMA
from tests.analysis.test_circuits import induction_by_hand
from tests.model.test_classifiers import made, tokenizer

PERIOD = 25
DRAWS = 3


def test_either_head_of_an_induction_circuit_takes_the_copy_away(tmp_path: Path) -> None:
    model = attnviz.load(induction_by_hand(tmp_path))
    assert model.backend.name == "native"
    text = "river bank loan of company bank loan"
    readout = Readout(model.backend, model.encode(text))
    losses = [
        float(each.losses[6])  # type: ignore[index]  # of the second "loan", behind [CLS] and six words
        for _, each in sorted(readout.of([[], [Zero(0, 0)], [Zero(1, 0)]]), key=lambda each: each[0])
    ]
    guessed = np.log(len(tiny.VOCABULARY))
    assert losses[0] < guessed - 1.5
    assert losses[1] > guessed
    assert losses[2] == pytest.approx(guessed, abs=0.1)
    found = model.ablate(text, by_word=True)
    change = {(row["layer"], row["word"]): row["change"] for row in found.rows()}
    assert [change[layer, "loan:2"] for layer in (0, 1)] == pytest.approx([each - losses[0] for each in losses[1:]])
    assert np.isnan(model.ablate(text)["control"]).all()  # no layer has another head


def second_copies(model: Any, variants: list[list[Intervention]], seed: int = 0) -> list[float]:
    """The mean loss on the second copy of random tokens, over some draws, of each of the ``variants``."""
    tokens, generator = neither_common_nor_rare(model.checkpoint.tokenizer), np.random.default_rng(seed)
    losses = []
    for _ in range(DRAWS):
        drawn = generator.choice(tokens, PERIOD, replace=False).tolist()
        readout = Readout(model.backend, of_tokens(model.checkpoint.tokenizer, drawn * 2, [0]))
        outcomes = dict(readout.of(variants))
        losses.append([float(outcomes[i].losses[PERIOD + 1 :].mean()) for i in range(len(variants))])  # type: ignore[index]
    return np.mean(losses, 0).tolist()


@pytest.mark.real
@pytest.mark.slow
def test_induction_heads_of_a_real_model_predict_the_second_copy(real_decoder: Path) -> None:
    """The five strongest heads of induction, and five heads of the same layers with the lowest score; in the manual."""
    model = attnviz.load(real_decoder)
    table = model.heads(role="induction", seed=0)
    order = [*zip(table["layer"].tolist(), table["head"].tolist(), strict=True)]
    score = dict(zip(order, table["induction"].tolist(), strict=True))
    strongest, controls = order[:5], list[tuple[int, int]]()
    for layer, _ in strongest:
        left = [each for each in order if each[0] == layer and each not in (*strongest, *controls)]
        controls.append(min(left, key=score.__getitem__))
    variants: list[list[Intervention]] = [[], *([Zero(*each) for each in some] for some in (strongest, controls))]
    plain, without, beside = second_copies(model, variants)
    assert strongest == [(18, 6), (17, 4), (17, 3), (17, 5), (23, 7)]
    assert without > plain + 4
    assert abs(beside - plain) < 1
    said = f"{plain:.1f} nats to {without:.1f}; five other heads of the same layers: {beside:.1f}"
    assert said in chapter("effects").text


def test_ablation_is_that_of_transformer_lens(tmp_path: Path) -> None:
    """The same weights through TransformerLens' hooks: a head's output is zero."""
    bridge = pytest.importorskip("transformer_lens.model_bridge").TransformerBridge
    config = GPT2Config(vocab_size=len(tiny.VOCABULARY), n_embd=32, n_layer=3, n_head=4, n_positions=40)
    theirs = GPT2LMHeadModel(config).eval()
    tiny.randomise(theirs, scale=0.2)
    theirs.save_pretrained(tmp_path)
    tiny.wordpiece().save(str(tmp_path / "tokenizer.json"))
    lens = bridge.boot_transformers(str(tmp_path), hf_model=theirs, dtype=torch.float32, device="cpu")
    model = attnviz.load(tmp_path)
    ids = torch.tensor([model.encode(tiny.SENTENCE).ids])
    with torch.no_grad():
        plain = lens(ids, return_type="logits")[0, -1].double().log_softmax(-1)
    found = {(row["layer"], row["head"]): row for row in model.ablate(tiny.SENTENCE).rows()}
    for layer in range(3):
        for head in range(4):

            def silence(z: Any, hook: Any, head: int = head) -> Any:  # noqa: ARG001
                z = z.clone().view(*z.shape[:2], 4, -1)
                z[:, :, head] = 0
                return z.flatten(2)

            with torch.no_grad():
                logits = lens.run_with_hooks(
                    ids, return_type="logits", fwd_hooks=[(f"blocks.{layer}.attn.o.hook_in", silence)]
                )
            q = logits[0, -1].double().log_softmax(-1)
            kl = float((plain.exp() * (plain - q)).sum())
            assert found[layer, head]["kl"] == pytest.approx(kl, rel=1e-4, abs=1e-6)


def test_maps_of_contributions_are_those_of_the_answer_that_is_named() -> None:
    """The last row, head by head: what adds, minus what takes, sums to what ``contributions`` says of the head."""
    model = attnviz.load((made("LlamaForCausalLM", LLAMA).double(), tokenizer()), dtype="float64")
    text = "The bank approved the"
    named = {"of": "loan", "against": "river"}
    adds, takes = (model.attend(text, weights=name, **named) for name in ("contribution", "contribution-"))
    found = model.contributions(text, target="loan", against="river")
    for row in found.rows():
        if row["component"].startswith("L") and "H" in row["component"]:
            at = row["layer"], row["head"]
            assert adds.weights[at][-1].sum() - takes.weights[at][-1].sum() == pytest.approx(
                row["contribution"], abs=1e-9
            )
    assert "in every row" in adds.note
    plain = model.attend(text, weights="contribution")
    assert abs(plain.weights - adds.weights).max() > 1e-6
    with pytest.raises(UsageError, match="no weights that are of an answer"):
        model.attend(text, weights="norm", **named)
