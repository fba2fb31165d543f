"""What heads do by their weights: against matrices of the whole vocabulary, and of heads that were made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from attnviz.analysis.corpus.circuits import circuits_table, composition, copying, positivity
from attnviz.errors import ModelError, UsageError
from attnviz.interface import Model, load
from attnviz.model.circuits import Circuits, LayerCircuit, _layer, read_circuits
from attnviz.render.terminal.answer import answer_parts
from tests import tiny
from tests.analysis.test_induction import SHARP
from tests.model.parity import files_of, make, network_of
from tests.model.variants import all_variants


def induction_by_hand(folder: Path) -> Path:
    """Two layers of one head without MLPs: the first writes down the token before; the second looks for its own token
    there, and copies the token that it finds.
    """
    count, places = len(tiny.VOCABULARY), 104
    width = 2 * count + places
    token, position, before = (
        torch.eye(width)[part] for part in (slice(count), slice(count, -count), slice(-count, None))
    )
    config = GPT2Config(vocab_size=count, n_positions=places, n_embd=width, n_layer=2, n_head=1, n_inner=4)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if ".ln_" in name and name.endswith("weight") else 0.0)
        model.transformer.wte.weight.copy_(token)
        model.transformer.wpe.weight.copy_(position)
        first, second = (block.attn for block in model.transformer.h)
        next_place = torch.roll(torch.eye(places), 1, 1)
        first.c_attn.weight[:, :width] = SHARP * position.T @ position
        first.c_attn.weight[:, width : 2 * width] = position.T @ next_place @ position
        first.c_attn.weight[:, 2 * width :] = token.T @ before
        second.c_attn.weight[:, :width] = SHARP * token.T @ before
        second.c_attn.weight[:, width : 2 * width] = before.T @ before
        second.c_attn.weight[:, 2 * width :] = token.T @ token
        for attention in (first, second):
            attention.c_proj.weight.copy_(torch.eye(width))
    model.save_pretrained(folder)
    tiny.wordpiece().save(str(folder / "tokenizer.json"))
    return folder


def test_an_induction_head_that_was_made_by_hand_is_found_with_its_one_edge(tmp_path: Path) -> None:
    model = load(induction_by_hand(tmp_path))
    first, second = sorted(model.circuits().rows(), key=lambda row: row["layer"])
    assert first["previous"] == pytest.approx(1, abs=0.01)
    assert first["induction"] is None
    assert (second["copying"], second["matching"]) == (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.01))
    assert (second["induction"], second["induction_from"]) == (pytest.approx(1, abs=0.01), "L0 H0")
    assert second["previous"] < 0.1
    edges = [row for row in model.circuits(edges=True).rows() if row["times"] > 1]
    assert [(edge["kind"], edge["from"], edge["layer"], edge["head"]) for edge in edges] == [("k", "L0 H0", 1, 0)]
    measured = {row["layer"]: row for row in model.heads().rows()}
    assert measured[1]["induction"] == pytest.approx(second["induction"], abs=0.02)


def dense(model: Model) -> tuple[list[dict[str, np.ndarray]], np.ndarray, np.ndarray]:
    """The QK and OV circuits of a tiny Llama as matrices of C × C for column vectors, and its embeddings."""
    network = model.backend.network  # type: ignore[union-attr]
    tensors = {name: tensor.double().numpy() for name, tensor in network.tensors.items()}
    layers = []
    for i in range(3):
        at = f"layers.{i}.attention"
        gain = tensors[f"{at}.norm.weight"]
        q, k, v = ((tensors[f"{at}.{name}.weight"] * gain).reshape(-1, 8, 32) for name in ("query", "key", "value"))
        o = tensors[f"{at}.output.weight"].reshape(32, 4, 8).transpose(1, 0, 2)  # (H, C, D)
        k, v = np.repeat(k, 2, 0), np.repeat(v, 2, 0)
        layers.append({"qk": q.transpose(0, 2, 1) @ k, "ov": o @ v})
    head = model.checkpoint.tensors["lm_head.weight"].double().numpy() * tensors["norm.weight"]
    return layers, tensors["embed.tokens.weight"], head


def circuits_of(model: Model) -> Circuits:
    return read_circuits(model.backend.network, model.checkpoint)  # type: ignore[arg-type, union-attr]


@pytest.fixture(scope="module")
def exact(tiny_llama: Path) -> Model:
    return load(tiny_llama, dtype="float64")


def test_copying_is_that_of_the_matrix_of_the_whole_vocabulary(exact: Model) -> None:
    layers, embedded, head = dense(exact)
    plain = []
    for layer in layers:
        values = [np.linalg.eigvals(head @ each @ embedded.T) for each in layer["ov"]]
        plain.append([each.real.sum() / np.abs(each).sum() for each in values])
    np.testing.assert_allclose(copying(circuits_of(exact)), plain, rtol=1e-6)


def test_composition_is_that_of_whole_matrices(exact: Model) -> None:
    layers, *_ = dense(exact)
    found = composition(circuits_of(exact)).scores.reshape(3, 3, 4, 3, 4)
    norm = np.linalg.norm
    for i in range(3):
        for j in range(3):
            for h in range(4):
                for g in range(4):
                    qk, ov, other = layers[i]["qk"][h], layers[i]["ov"][h], layers[j]["ov"][g]
                    own = found[:, i, h, j, g]
                    if j >= i:
                        assert np.isnan(own).all()
                        continue
                    plain = [norm(each @ other) / norm(each) / norm(other) for each in (qk.T, qk, ov)]
                    assert own == pytest.approx(plain, rel=1e-4)


def test_latents_are_multiplied_out(tmp_path: Path) -> None:
    """Without norms a score is that of the circuit, and so is what a head writes."""
    model = make(all_variants()["deepseek_v3", "with a head"], torch.float64)
    model.save_pretrained(tmp_path)
    network = network_of(*files_of(tmp_path), torch.float64)
    network._norm = lambda at, _, x: x * network.tensors[f"{at}.weight"]  # type: ignore[method-assign]
    x = torch.randn(5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i, spec in network.spec.attentions.items():
        found, at = _layer(network, i, spec), f"layers.{i}.attention"
        read = network._entering(at, network.spec.layers[i], x)
        q, k, v = network._vectors(at, spec, read, valued=True)
        assert v is not None
        scores = torch.einsum("nc,hdc,hde,me->hnm", x, found.query, found.key, x)
        torch.testing.assert_close(q @ k.mT, scores, rtol=1e-10, atol=1e-10)
        written = network._linear(f"{at}.output", v.transpose(0, 1).flatten(1))
        own = torch.einsum("hcd,hde,me->mc", found.output, found.value, x)
        torch.testing.assert_close(written, own, rtol=1e-10, atol=1e-10)


def test_of_random_matrices_the_mean_square_is_the_baseline() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = tuple(
        LayerCircuit(*(torch.randn(30, 8, 64, generator=generator) for _ in range(3)),
                     torch.randn(30, 64, 8, generator=generator), i)
        for i in range(2)
    )  # fmt: skip
    found = composition(Circuits(layers, torch.eye(64), None, torch.zeros(2, 30), (), (0, 1)))
    assert found.baseline == 1 / 8
    squares = np.square(found.scores[:, 30:, :30])
    assert np.sqrt(squares.mean((1, 2))) == pytest.approx(found.baseline, rel=0.02)


def test_permuting_heads_permutes_the_tables(exact: Model) -> None:
    found, order = circuits_of(exact), torch.tensor([2, 0, 3, 1])
    parts = ("query", "key", "value", "output")
    moved = replace(
        found, previous=found.previous[:, order],
        layers=tuple(replace(layer, **{name: getattr(layer, name)[order] for name in parts}) for layer in found.layers),
    )  # fmt: skip
    new = {old: place for place, old in enumerate(order.tolist())}
    plain, other = (
        {(row["layer"], row["head"]): row for row in circuits_table(each, "m").rows()} for each in (found, moved)
    )

    def renamed(name: str) -> str:
        return f"{name[:-1]}{new[int(name[-1])]}" if name else name

    for (layer, head), row in plain.items():
        there = other[layer, new[head]]
        for name, value in row.items():
            if name == "head":
                continue
            if isinstance(value, str):
                assert there[name] == renamed(value)
            elif value is None:
                assert there[name] is None
            else:
                assert there[name] == pytest.approx(value, rel=1e-4, nan_ok=True)


def test_signs_of_eigenvalues_add_up() -> None:
    found = positivity(
        torch.stack([torch.eye(3), -torch.eye(3), torch.diag(torch.tensor([1.0, 1, -2])), torch.zeros(3, 3)])
    )
    assert found[:3].tolist() == [1, -1, 0]
    assert np.isnan(found[3])


def test_what_is_left_out_is_said(exact: Model, tiny_model: Model, tiny_t5: Path, tiny_hosted: Path) -> None:
    notes = " ".join(exact.circuits().notes)
    assert "norms are folded in" in notes
    assert "distance 0" in notes
    assert "share keys and values" in notes
    table = tiny_model.circuits()
    assert "no head that predicts tokens" in table.notes[0]
    assert np.isnan(table["copying"]).all()
    assert table.ranked == "k_composition"
    assert len(load(tiny_t5).circuits()) == 12
    with pytest.raises(UsageError, match="runs natively"):
        load(tiny_hosted).circuits()


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.0.self_attn.q_proj.weight"][0, 0] = float("nan")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"weights give NaN: layers\.0\.attention\.query\.weight"):
        load(folder).circuits()


def test_what_was_not_measured_takes_no_room_and_a_head_stands_beside_its_own_score(
    tiny_model: Model, exact: Model
) -> None:
    shown = {each.name for each in tiny_model.circuits().columns if each.shown}
    assert not shown & {"copying", "induction"}
    assert "No scores of copying" in tiny_model.circuits().notes[0]
    assert not any("copying" in note for note in tiny_model.circuits(edges=True).notes)
    console = Console(width=80, color_system=None)
    with console.capture() as said:
        for part in answer_parts(exact.circuits(), 3):
            console.print(part)
    assert "k from  k composition" in said.get().splitlines()[1]
