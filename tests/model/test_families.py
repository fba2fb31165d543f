"""The registry and the files of the families match, and a config that they can't express is refused."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest
import transformers
from transformers import BertConfig

from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.errors import ExitCode, ModelError, UnsupportedModel
from attnviz.model import families
from attnviz.model.architecture.activations import ACTIVATIONS
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.shapes import head_shapes, optional_shapes, tensor_shapes
from attnviz.model.architecture.spec import Embedding, Learned, Spec
from attnviz.model.families import ALIASES, FAMILIES, Family, find_family, near_miss
from attnviz.model.native.weights import _parts
from tests.model.variants import all_variants

KINDS = sorted({*FAMILIES, *ALIASES})
SAID = {
    "bigbird_pegasus": {"attention_type": "original_full"},
    "esm": {"vocab_size": 33},
    "granitemoehybrid": {"layer_types": ["full_attention"] * 32},
}
"""What a config must say, since our forward pass does not know what it is by default, or nothing is."""


def test_every_file_is_registered_and_every_registration_has_a_file() -> None:
    assert sorted(map(families.module_name, FAMILIES)) == sorted(
        module.name for module in pkgutil.iter_modules(families.__path__) if not module.ispkg
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_file_says_all_that_a_family_needs(name: str) -> None:
    module = importlib.import_module(f"attnviz.model.families.{families.module_name(name)}")
    assert callable(module.spec)
    assert module.__doc__
    assert isinstance(getattr(module, "PREFIX", ""), str)
    for literal in ("SPELLINGS", "ATTRIBUTES"):
        assert all(isinstance(text, str) for pair in getattr(module, literal, {}).items() for text in pair)
    for theirs, ours in module.NAMES.items():
        for our in places(ours):
            assert our.count("{}") <= 1
            # A second {} is the head. Without any, the tensor is that of all layers, or of the first, which has it.
            assert our.count("{}") <= theirs.count("{}") <= our.count("{}") + 1


def places(ours: str | tuple[str, ...]) -> tuple[str, ...]:
    return (ours,) if isinstance(ours, str) else ours


def needed(spec: Spec) -> set[str]:
    return {*tensor_shapes(spec), *head_shapes(spec), *optional_shapes(spec)}


def mapped(family: Family, layers: int) -> set[str]:
    """Return our names of all tensors that the family's checkpoints may have."""
    ours = [our for value in family.names.values() for our in places(value)]
    return {part for our in ours for i in range(layers) for part in _parts(our.format(i))}


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_that_a_spec_needs_has_a_name_in_the_checkpoint(kind: str) -> None:
    family = find_family({"model_type": kind})
    spec = family.spec({"model_type": kind, **SAID.get(kind, {})})
    layers = max(len(stack.layers) for stack in (spec, spec.encoder) if stack)
    assert needed(spec) <= mapped(family, layers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_and_an_older_spelling_come_off_and_nothing_else(kind: str) -> None:
    family = find_family({"model_type": kind})
    for name in (theirs.format(*("7" * theirs.count("{}")), language="en") for theirs in family.names):
        assert family.plain(family.prefix + name) == family.plain(name) == name
        for old, new in family.spellings.items():
            if name.endswith(f".{new}"):
                assert family.plain(name.removesuffix(new) + old) == name


def test_no_name_in_a_family_file_is_of_no_use() -> None:
    """A name that no model needs is a mistake, which no missing tensor would reveal."""
    used: dict[int, set[str]] = {}  # by map: some families share one
    specs = [(name, {"model_type": name, **SAID.get(name, {})}) for name in FAMILIES]
    for (name, _), variant in all_variants().items():
        config = getattr(transformers, variant.model).config_class(**variant.config).to_dict()
        config["architectures"] = [variant.model]
        specs += [(name, config), (name, config | {"tie_word_embeddings": False})]
    for name, config in specs:
        family = find_family(config)
        used.setdefault(id(find_family({"model_type": name}).names), set()).update(
            re.sub(r"\d+", "{}", our) for our in needed(family.spec(config))
        )
    for name in FAMILIES:
        family = find_family({"model_type": name})
        assert {re.sub(r"\d+", "{}", our) for our in mapped(family, 1)} <= used[id(family.names)], name


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_of_a_family_and_no_family_itself(alias: str) -> None:
    name = ALIASES[alias]
    assert name in FAMILIES
    assert alias not in FAMILIES
    module = importlib.import_module(f"attnviz.model.families.{families.module_name(name)}")
    found = find_family({"model_type": alias})
    assert (found.name, found.names) == (alias, module.NAMES)


@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_are_of_types_that_the_file_is_for(name: str) -> None:
    module = importlib.import_module(f"attnviz.model.families.{families.module_name(name)}")
    kinds = {name, *(alias for alias, family in ALIASES.items() if family == name)}
    assert set(getattr(module, "DEFAULTS", {})) <= kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_that_says_nothing_is_that_of_transformers(kind: str) -> None:
    said = transformers.CONFIG_MAPPING[kind](**SAID.get(kind, {})).to_dict()
    silent = find_family({"model_type": kind}).spec({"model_type": kind, **SAID.get(kind, {})})
    assert find_family(said).spec(said) == silent


def test_null_says_something_where_it_does_in_transformers() -> None:
    """Mistral's later models have a ``sliding_window`` of null: no window, whatever the type's default."""
    family = find_family({"model_type": "mistral"})
    seen = [family.spec(said).layers[0].attention for said in ({}, {"sliding_window": None}, {"sliding_window": 7})]
    assert [attention.window for attention in seen] == [KeyWindow(4095, 0), CAUSAL, KeyWindow(6, 0)]
    assert [attention.kv_heads for attention in seen] == [8, 8, 8]
    assert family.spec({"num_key_value_heads": None}).layers[0].attention.kv_heads == 32


def bert(**config: Any) -> Any:
    config = {"model_type": "bert"} | config
    return find_family(config).spec(config)


def test_absent_and_null_attributes_have_the_values_of_transformers() -> None:
    full = BertConfig().to_dict()
    assert bert() == bert(**full) == bert(**dict.fromkeys(full.keys() - {"model_type"}))


def test_a_config_says_every_size() -> None:
    spec = bert(
        hidden_size=24,
        num_attention_heads=6,
        num_hidden_layers=2,
        intermediate_size=50,
        vocab_size=70,
        max_position_embeddings=33,
        type_vocab_size=3,
        hidden_act="relu",
        layer_norm_eps=1e-3,
    )
    layer, attention = spec.layers[0], spec.layers[0].attention
    assert (spec.width, len(spec.layers), spec.limit) == (24, 2, 33)
    assert (attention.heads, attention.kv_heads, attention.head_size, attention.scale) == (6, 6, 4, 0.5)
    assert (layer.mlp.size, layer.mlp.activation, layer.norms.norm.eps) == (50, "relu", 1e-3)
    embedding = spec.embedding
    assert (embedding.vocabulary, embedding.positions, embedding.types) == (70, Learned(33), 3)
    assert embedding.norm == layer.norms.norm


def test_a_decoder_is_causal() -> None:
    assert bert().layers[0].attention.window == EVERYTHING
    assert bert(is_decoder=True).layers[0].attention.window == CAUSAL


def test_bookkeeping_training_and_generation_change_nothing() -> None:
    assert bert() == bert(
        _name_or_path="bert-base-uncased",
        architectures=["BertForMaskedLM"],
        attention_probs_dropout_prob=0.5,
        gradient_checkpointing=True,
        id2label={"0": "no"},
        num_beams=1,
        tie_word_embeddings=True,
        top_k=50,
        torch_dtype="float16",
        transformers_version="2.0.0",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("hidden_act", "laplace"),
        ("hidden_act", ["gelu"]),
        ("quantization_config", {"bits": 4}),
        ("attention_window", 128),
    ],
)
def test_what_the_forward_pass_does_not_know_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        bert(**{name: value})
    assert name in caught.value.message
    assert repr(value) in caught.value.message
    assert caught.value.exit_code is ExitCode.MODEL


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_with_any_value_is_read_or_refused(kind: str) -> None:
    """Only attnviz errors: no JSON value ends in a traceback."""
    said = transformers.CONFIG_MAPPING[kind](**SAID.get(kind, {})).to_dict()
    family = find_family(said)
    for name in said.keys() - {"model_type"}:
        for value in ("x", [1], [], {"a": 1}, {"a": {}}, -1, 0, 3, 1.5, True, None):
            try:
                spec = family.spec(said | {name: value})
            except ModelError:
                continue
            assert spec.layers, (name, value)


def test_attention_to_blocks_is_refused() -> None:
    with pytest.raises(
        UnsupportedModel, match="attention_type is 'block_sparse'; our forward pass knows original_full"
    ):
        find_family({"model_type": "bigbird_pegasus"}).spec({})


def test_layers_that_do_not_attend_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="layer_types has mamba; our forward pass knows layers that attend"):
        find_family({"model_type": "granitemoehybrid"}).spec(
            {"num_hidden_layers": 2, "layer_types": ["attention", "mamba"]}
        )


@pytest.mark.parametrize("value", ["yes", 1, [True]])
def test_a_flag_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        bert(is_decoder=value)
    assert caught.value.message == f"config.json: is_decoder is {value!r}, expected true or false"
    assert not isinstance(caught.value, UnsupportedModel)  # it is damaged: hosting would not help


def test_all_unknown_attributes_are_named() -> None:
    with pytest.raises(UnsupportedModel, match="alpha = 1, zeta = 'two'"):
        bert(zeta="two", alpha=1)


def test_an_unknown_activation_is_told_which_are_known() -> None:
    with pytest.raises(UnsupportedModel) as caught:
        bert(hidden_act="laplace")
    assert caught.value.message.endswith(f"knows {', '.join(sorted(ACTIVATIONS))}")


SIZES = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size",
         "max_position_embeddings", "type_vocab_size")  # fmt: skip


@pytest.mark.parametrize("value", ["32", 0, -1, True, False, 1.5, [12]])
@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        bert(**{name: value})
    assert caught.value.message == f"config.json: {name} is {value!r}, expected a whole number above zero"


@pytest.mark.parametrize("value", ["1e-12", True, [1e-12]])
def test_a_number_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ModelError, match=r"layer_norm_eps is .*, expected a number"):
        bert(layer_norm_eps=value)


def test_a_size_without_a_default_must_be_there() -> None:
    with pytest.raises(ModelError, match=r"config\.json has no hidden_size"):
        Config({}).size("hidden_size")


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ModelError, match="hidden_size 32 does not divide by its 5 attention heads"):
        bert(hidden_size=32, num_attention_heads=5)


def bare(width: int) -> Spec:
    """The facts of a model without layers."""
    return Spec(width=width, embedding=Embedding(1), layers=())


@pytest.mark.parametrize(
    ("said", "width"),
    [
        ({}, 3),
        ({"hidden_size": 5}, 5),
        ({"n_embd": 7}, 7),
        ({"hidden_size": 5, "n_embd": 7}, 7),
        ({"n_embd": 7, "hidden_size": 5}, 7),
        ({"hidden_size": 5, "n_embd": None}, 5),
    ],
)
def test_an_attribute_may_have_another_name(said: dict[str, Any], width: int) -> None:
    family = Family("any", lambda config: bare(config.size("hidden_size", 3)), {}, attributes={"n_embd": "hidden_size"})
    assert family.spec(said).width == width


def test_an_unknown_type_is_told_what_is_supported_and_what_is_near() -> None:
    with pytest.raises(UnsupportedModel) as caught:
        find_family({"model_type": "brt"})
    assert near_miss({"model_type": "brt"}) == "Did you mean bert? "
    assert all(name in caught.value.hint for name in FAMILIES)


def test_a_type_that_is_near_to_none_gets_no_guess() -> None:
    assert near_miss({"model_type": "xyzzy"}) == ""


@pytest.mark.parametrize("config", [{}, {"model_type": None}, {"model_type": 3}, {"model_type": ["bert"]}])
def test_a_config_without_a_type_is_no_model(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no model_type") as caught:
        find_family(config)
    assert not isinstance(caught.value, UnsupportedModel)


@pytest.mark.parametrize("kind", families.UNSUPPORTED)
def test_a_type_that_no_spec_says_is_told_why(kind: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        find_family({"model_type": kind})
    assert f"{kind!r}: {families.UNSUPPORTED[kind]}" in caught.value.message
    assert kind not in (*FAMILIES, *families.ALIASES)


def test_what_an_alias_says_stands_where_a_config_is_silent_or_null() -> None:
    family = Family("cousin", lambda config: bare(config.size("vocab_size", 3)), {}, defaults={"vocab_size": 7})
    assert [family.spec(said).width for said in ({}, {"vocab_size": None}, {"vocab_size": 9})] == [7, 7, 9]


@pytest.mark.parametrize("value", ["2", -1, True, 1.5])
def test_a_count_that_is_none_is_refused(value: Any) -> None:
    assert Config({"types": 0}).count("types", 2) == 0
    with pytest.raises(ModelError, match=r"types is .*, expected a whole number, zero or above"):
        Config({"types": value}).count("types", 2)


def test_a_type_is_never_a_path_to_a_module() -> None:
    with pytest.raises(UnsupportedModel):
        find_family({"model_type": "bert.os"})
