"""A hosted model is loaded completely or not at all, is refused if the kernel can't serve it, and stays unchanged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from attnviz.attention import kernel
from attnviz.attention.kernel import Observer, Tile
from attnviz.attention.observers import HiddenStates, Weights
from attnviz.checkpoint import Checkpoint, open_checkpoint, open_in_memory
from attnviz.encoding import Encoding
from attnviz.errors import ExitCode, InputError, ModelError, UnsupportedModel
from attnviz.model.hosted import Hosted, attention, masks, open_hosted, why_not_hostable
from attnviz.model.native.opening import open_native
from tests import tiny
from tests.model.test_hosted import CASES, COMMON, ENCODER_DECODERS, GROUPED, IDS, TARGET, Case, encoding

LLAMA = CASES["llama with grouped queries"]
FOLDER_TOKENIZER = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece())


class Failing(Observer):
    """Fails at the second layer."""

    def tile(self, tile: Tile) -> None:
        if tile.layer == 1:
            raise AssertionError("seen enough")


def saved(folder: Path, model: Any) -> Checkpoint:
    model.save_pretrained(folder)
    config = json.loads(folder.joinpath("config.json").read_text())
    return Checkpoint("tiny", config, {}, tiny.wordpiece(), reference=folder)


def registered() -> tuple[set[str], set[str]]:
    return set(AttentionInterface._global_mapping), set(AttentionMaskInterface._global_mapping)


def picture(model: Any) -> list[Any]:
    """Return everything about a model that a run could change."""
    facts: list[Any] = [model.config.to_dict(), model.config._attn_implementation, model.config.use_cache]
    for name, module in model.named_modules():
        facts += [name, module.training, list(module._forward_hooks), sorted(vars(module))]
        facts += [id(buffer) for buffer in module.buffers()]
    facts += [(p.requires_grad, p.dtype, p.device, p.data_ptr(), p._version) for p in model.parameters()]
    return facts


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Replace the kernel of the hosted backend."""
    original = kernel.attend

    def put(change: Callable[..., dict[str, Any]]) -> None:
        monkeypatch.setattr(kernel, "attend", lambda *qkv, **facts: original(*qkv, **change(**facts)))

    return put


@pytest.mark.parametrize("name", ["llama with grouped queries", "bert that classifies texts", "lfm 2, a hybrid"])
def test_a_broken_kernel_is_seen(name: str, damage: Callable[[Any], None]) -> None:
    mine, weights, states = Hosted(CASES[name].model().base_model, "tiny"), Weights(), HiddenStates()
    damage(lambda scale, **facts: facts | {"scale": scale * 1.01})
    mine.run(encoding(IDS), [weights, states])
    maps, hidden = mine.reference(encoding(IDS))["self"]
    assert maps is not None
    assert hidden is not None
    apart = (weights.stacked() - torch.stack(maps)).abs().amax((1, 2, 3))
    assert bool((apart > 1e-4).all())
    assert float((states.stacked()[-1] - hidden[-1]).abs().max()) > 1e-4


def test_the_reference_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Hosted(LLAMA.model(), "tiny")
    mine.run(encoding(IDS))

    def refuse(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("our kernel was called")

    monkeypatch.setattr(kernel, "attend", refuse)
    assert mine.reference(encoding(IDS))["self"][0] is not None
    with pytest.raises(AssertionError, match="our kernel was called"):
        mine.run(encoding(IDS))


def test_the_kernel_is_called_once_a_layer_and_kind(damage: Callable[[Any], None]) -> None:
    calls: list[tuple[str, int]] = []
    damage(lambda **facts: calls.append((facts["kind"], facts["layer"])) or facts)  # type: ignore[func-returns-value]
    Hosted(ENCODER_DECODERS["t5"].model(), "tiny").run(encoding(IDS), [], encoding(TARGET))
    assert sorted(calls) == [(kind, layer) for kind in ("cross", "decoder", "encoder") for layer in range(3)]


@pytest.mark.parametrize("observer", [Weights, HiddenStates, Failing])
@pytest.mark.parametrize("name", ["llama with a head", "bert that classifies texts", "gemma 3"])
def test_a_model_in_memory_stays_as_it_was(name: str, observer: type[Observer]) -> None:
    model = CASES[name].model().train()
    model.set_attn_implementation("sdpa")
    before, known = picture(model), registered()
    mine = open_hosted(open_in_memory(model, FOLDER_TOKENIZER))
    if observer is Failing:
        with pytest.raises(AssertionError, match="seen enough"):
            mine.run(encoding(IDS), [Failing()])
    else:
        mine.run(encoding(IDS), [observer()])
        mine.reference(encoding(IDS))
    assert picture(model) == before
    assert registered() == known
    assert model.config._attn_implementation == "sdpa"
    model(torch.tensor([IDS]))[0].sum().backward()  # no tensor of inference mode is left inside


def test_a_model_is_copied_only_where_it_must_be_changed() -> None:
    model = LLAMA.model()
    assert open_hosted(open_in_memory(model, FOLDER_TOKENIZER)).model is model
    other = open_hosted(open_in_memory(model, FOLDER_TOKENIZER), torch.float64)
    assert (other.model.dtype, model.dtype) == (torch.float64, torch.float32)


def test_long_texts_of_dynamic_rotary_models_leave_no_trace() -> None:
    config = GROUPED | {
        "max_position_embeddings": 8,
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
    }
    mine = Hosted(Case("LlamaModel", config).model(), "tiny")
    short = mine.run(encoding(IDS[:6]))
    mine.run(encoding(IDS))
    assert torch.equal(mine.run(encoding(IDS[:6])), short)


@pytest.mark.parametrize("name", ["llama with a head", "bert that classifies texts", "bert that classifies tokens"])
def test_a_folder_loads_without_its_head(name: str, tmp_path: Path) -> None:
    model = CASES[name].model()
    mine = open_hosted(saved(tmp_path, model))
    assert type(mine.model) is type(model.base_model)
    assert not mine.model.training
    assert torch.equal(mine.run(encoding(IDS)), Hosted(model.base_model, "").run(encoding(IDS)))


def test_a_folder_keeps_its_dtype_unless_told(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, LLAMA.model().bfloat16())
    assert open_hosted(checkpoint).model.dtype is torch.bfloat16
    assert open_hosted(checkpoint, torch.float32).model.dtype is torch.float32


def test_half_an_encoder_decoder_is_loaded_as_that_half(tmp_path: Path) -> None:
    t5, bart = ENCODER_DECODERS["t5"], ENCODER_DECODERS["bart"]
    for part, whole, causal in (("T5EncoderModel", t5, False), ("BartForCausalLM", bart, True)):
        model = Case(part, whole.config).model()
        mine = open_hosted(saved(tmp_path / part, model))
        assert type(mine.model) is type(model)
        assert mine.kinds == ("self",)
        mine.run(encoding(IDS))
        assert mine.causal() is causal


def test_a_whole_encoder_decoder(tmp_path: Path) -> None:
    model = Case(
        "BartForConditionalGeneration", ENCODER_DECODERS["bart"].config | {"decoder_start_token_id": 2}
    ).model()
    mine = open_hosted(saved(tmp_path, model))
    assert (type(mine.model).__name__, mine.start, mine.limit) == ("BartModel", 2, 64)
    assert mine.run(encoding(IDS), [], encoding(TARGET)).shape == (len(TARGET), 32)


def test_where_a_decoder_begins(tmp_path: Path) -> None:
    model = Case("T5ForConditionalGeneration", ENCODER_DECODERS["t5"].config).model()
    model.generation_config.decoder_start_token_id = 7
    saved(tmp_path, model)
    tiny.wordpiece().save(str(tmp_path / "tokenizer.json"))
    checkpoint = open_checkpoint(tmp_path)
    assert "decoder_start_token_id" not in checkpoint.config
    assert open_native(checkpoint).start == 7
    assert open_hosted(checkpoint).start == open_hosted(open_in_memory(model, FOLDER_TOKENIZER)).start == 7
    assert open_hosted(open_in_memory(ENCODER_DECODERS["t5"].model(), FOLDER_TOKENIZER)).start is None
    assert Hosted(LLAMA.model(), "tiny", 7).start is None


def test_a_checkpoint_that_lacks_tensors_is_not_filled_up_at_random(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(**GROUPED)
    model = transformers.LlamaModel(config)
    state = {name: tensor for name, tensor in model.state_dict().items() if "layers.3.self_attn.q" not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    checkpoint = Checkpoint("tiny", config.to_dict(), {}, tiny.wordpiece(), reference=tmp_path)
    with pytest.raises(ModelError, match=r"tiny lacks layers\.3\.self_attn\.q_proj\.weight, which LlamaModel needs"):
        open_hosted(checkpoint)


def test_unknown_types_are_errors_and_never_code(tmp_path: Path) -> None:
    config = {"model_type": "unheard_of", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    tmp_path.joinpath("config.json").write_text(json.dumps(config))
    tmp_path.joinpath("code.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    with pytest.raises(UnsupportedModel, match="brings code of its own") as raised:
        open_hosted(Checkpoint("tiny", config, {}, tiny.wordpiece(), reference=tmp_path))
    assert "`trust_remote_code`" in raised.value.hint
    assert not tmp_path.joinpath("executed").exists()


def test_code_that_is_trusted_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    model = LLAMA.model()
    checkpoint = saved(tmp_path / "model", model)
    config = checkpoint.config | {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"},
    }
    del config["architectures"]
    tmp_path.joinpath("model/config.json").write_text(json.dumps(config))
    tmp_path.joinpath("model/own.py").write_text(
        "from transformers import LlamaConfig, LlamaModel\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class OwnModel(LlamaModel):\n    config_class = OwnConfig\n"
    )
    mine = open_hosted(
        Checkpoint("tiny", config, {}, checkpoint.tokenizer, checkpoint.reference), trust_remote_code=True
    )
    assert type(mine.model).__name__ == "OwnModel"
    assert torch.equal(mine.run(encoding(IDS)), Hosted(model, "").run(encoding(IDS)))


def test_gguf_files_that_only_transformers_reads_are_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def config(*_: Any, **options: Any) -> Any:
        asked.append(options["gguf_file"])
        raise ImportError("Loading a GGUF checkpoint needs gguf>=0.10.0")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", config)
    with pytest.raises(ModelError, match="lacks a package") as raised:
        open_hosted(Checkpoint("tiny", {}, {}, tiny.wordpiece(), tmp_path, gguf="model.Q4_1.gguf", unread="…"))
    assert (asked, raised.value.hint) == (["model.Q4_1.gguf"], "Install it: pip install gguf")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ImportError("Please install `bitsandbytes` >= 0.46")

    monkeypatch.setattr(transformers.LlamaModel, "from_pretrained", fail)
    with pytest.raises(ModelError, match="lacks a package") as raised:
        open_hosted(saved(tmp_path, LLAMA.model()))
    assert raised.value.hint == "Install it: pip install bitsandbytes"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("FalconModel", COMMON),
        ("BloomModel", COMMON | {"n_head": 4}),
        ("XLNetModel", {"vocab_size": 50, "d_model": 32, "n_head": 4, "d_inner": 48, "n_layer": 2}),
    ],
)
def test_models_that_attend_by_themselves_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match="attends by itself") as raised:
        Hosted(Case(name, config).model(), "tiny").run(encoding(IDS))
    assert raised.value.exit_code == ExitCode.MODEL


def test_models_that_attend_by_themselves_in_part_are_refused() -> None:
    config = ENCODER_DECODERS["t5"].config
    with pytest.raises(UnsupportedModel, match="the encoder attention of transformers' LongT5Model attends by itself"):
        Hosted(Case("LongT5Model", config).model(), "tiny").run(encoding(IDS), [], encoding(TARGET))


def test_what_the_attention_does_not_know_is_refused() -> None:
    hook = attention.KernelAttention(torch.nn.Linear(1, 1), {"self": (1, 1)})
    one = torch.ones(1, 1, 1, 1)
    with pytest.raises(UnsupportedModel, match=r"does not know: \['block_indices'\]"):
        hook(torch.nn.Linear(1, 1), one, one, one, block_indices=one, sliding_window=4, cache=None)
    with pytest.raises(UnsupportedModel, match="cuts the text into 2 blocks"):
        hook(torch.nn.Linear(1, 1), one.expand(2, 1, 1, 1), one, one)


def test_keys_that_are_not_the_texts_tokens_are_refused() -> None:
    model = LLAMA.model()
    hook = attention.KernelAttention(model, {"self": (3, 3)})
    q, k = torch.ones(1, 4, 3, 8), torch.ones(1, 4, 5, 8)
    with pytest.raises(UnsupportedModel, match="attends from 3 to 5 vectors, which are not the text's 3 and 3 tokens"):
        hook(model.layers[0].self_attn, q, k, k)


def test_a_text_that_the_model_cannot_run_is_an_error_of_ours() -> None:
    mine = Hosted(CASES["gpt-2"].model(), "tiny")
    assert mine.limit == 64
    with pytest.raises(UnsupportedModel, match="tiny: transformers' GPT2Model can't run this text"):
        mine.run(encoding([1] * 65))


def test_models_that_read_no_text_are_refused() -> None:
    model = torch.nn.Linear(1, 1)
    with pytest.raises(UnsupportedModel, match="transformers' Linear reads input, not text"):
        Hosted(model, "tiny").run(encoding(IDS))


def test_a_model_that_does_not_say_where_its_token_vectors_are_reads_text() -> None:
    model = LLAMA.model()
    expected = Hosted(model, "tiny").run(encoding(IDS))

    def unknown() -> None:
        raise NotImplementedError

    model.get_input_embeddings = unknown
    assert torch.equal(Hosted(model, "tiny").run(encoding(IDS)), expected)


def test_ids_beyond_the_vocabulary() -> None:
    with pytest.raises(ModelError, match="the tokenizer gives '50' the id 50, the model's vocabulary ends at 49"):
        Hosted(LLAMA.model(), "tiny").run(encoding([3, 50]))


def test_a_damaged_tensor_is_named() -> None:
    model = LLAMA.model()
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"the model's weights give NaN: layers\.1\.mlp\.up_proj\.weight"):
        Hosted(model, "tiny").run(encoding(IDS))


def test_pairs() -> None:
    two = Hosted(CASES["bert that looks back only"].model(), "tiny")
    first, second = (two.run(encoding(IDS, [0] * n + [1] * (23 - n))) for n in (23, 9))
    assert not torch.equal(first, second)
    one = Hosted(Case("RobertaModel", COMMON | {"type_vocab_size": 1, "pad_token_id": 1}).model(), "tiny")
    assert one.limit == 62
    with pytest.raises(InputError, match="1 token type only: it takes no pair"):
        one.run(encoding(IDS, [0] * 9 + [1] * 14))


def test_targets_are_for_encoder_decoders() -> None:
    with pytest.raises(InputError, match="it takes no target"):
        Hosted(LLAMA.model(), "tiny").run(encoding(IDS), [], encoding(TARGET))
    with pytest.raises(InputError, match="it needs a target text"):
        Hosted(ENCODER_DECODERS["bart"].model(), "tiny").run(encoding(IDS))


@pytest.mark.parametrize("name", ["mistral with a window", "gpt-oss with sinks and windows", "modernbert with windows"])
def test_plain_masks_are_never_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask that is a band is never computed: the kernel gets its window."""

    def refuse(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("a mask of N times M was made")

    monkeypatch.setattr(masks, "eager_mask", refuse)
    Hosted(CASES[name].model(), "tiny").run(encoding(IDS))


def test_hidden_states_are_asked_for_only_if_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = LLAMA.model(), []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **given: asked.append(given["output_hidden_states"]) or forward(**given)
    )  # type: ignore[func-returns-value]
    mine = Hosted(model, "tiny")
    mine._accepts = {"attention_mask": None}
    mine.run(encoding(IDS), [Weights()])
    mine.run(encoding(IDS), [HiddenStates()])
    assert asked == [False, True]


def test_what_can_be_hosted_is_known_beforehand() -> None:
    assert why_not_hostable({"model_type": "mixtral"}) is None
    assert why_not_hostable({"model_type": "llava", "text_config": {"model_type": "mistral"}}) is None
    assert (
        why_not_hostable({"model_type": "bloom"})
        == "transformers' bloom does not attend through its AttentionInterface"
    )
    assert why_not_hostable({}) == "config.json has no model_type"
    assert "`trust_remote_code`" in (why_not_hostable({"model_type": "own", "auto_map": {}}) or "")
    assert why_not_hostable({"model_type": "own"}) == "transformers does not know the type 'own'"


def test_an_encoding_is_not_changed() -> None:
    text: Encoding = encoding(IDS)
    before = copy.deepcopy(text)
    Hosted(LLAMA.model(), "tiny").run(text)
    assert text == before
