from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnviz.analysis.corpus.accumulation import Collector
from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.roles import ROLES, RoleHeads, offset_name, roles
from tests.analysis.corpora import HEADS, LAYERS, corpus, documents, figures, links


def by_name(**given: float) -> dict[str, RoleHeads]:
    return {found.role.name: found for found in roles(corpus(**given))}


@pytest.mark.parametrize(
    ("role", "metric", "enough", "too_little"),
    [
        ("positional", "offset_share", 0.9, 0.899),
        ("sink", "sink", 0.301, 0.3),
        ("previous", "previous", 0.51, 0.5),
        ("next", "next", 0.51, 0.5),
        ("self", "self", 0.5, 0.499),
        ("duplicate", "duplicate", 0.5, 0.499),
        ("punctuation", "punctuation", 0.5, 0.499),
        ("broad", "normalised_entropy", 0.801, 0.8),
    ],
)
def test_a_role_goes_by_its_figure_and_threshold(role: str, metric: str, enough: float, too_little: float) -> None:
    assert len(by_name(**{metric: enough})[role].heads) == len(LAYERS) * HEADS
    none = by_name(**{metric: too_little})
    assert not none[role].heads
    assert none[role].scores == pytest.approx(np.full((len(LAYERS), HEADS), too_little))


def test_heads_come_by_score_with_the_models_own_layer_and_several_roles() -> None:
    found = figures(30)
    found["sink"][:, 2, 1] = 0.5
    found["sink"][:, 0, 3] = 0.9
    found["previous"][:, 0, 3] = 0.95
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(30)), found, links())
    named = {each.role.name: each for each in roles(collector.corpus())}
    assert [(head.layer, head.head) for head in named["sink"].heads] == [(0, 3), (3, 1)]
    assert [(head.layer, head.head) for head in named["previous"].heads] == [(0, 3)]
    assert named["sink"].heads[0].score == pytest.approx(0.9)
    assert named["sink"].heads[0].detail == "the first token"


def test_a_positional_head_says_its_offset_and_needs_the_same_in_all_documents() -> None:
    assert by_name(offset_share=0.95)["positional"].heads[0].detail == "−1"
    assert by_name(offset_share=0.95, offset=2.0)["positional"].heads[0].detail == "+2"
    found = figures(30, offset_share=0.95)
    found["offset"][::4] = 3.0
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(30)), found, links())
    assert not roles(collector.corpus())[0].heads


@pytest.mark.parametrize(("position", "detail"), [(0, "the first token"), (23, "the last token"), (4, "token 4"),
                                                  (22, "the last but one")])  # fmt: skip
def test_a_sink_says_where_it_is(position: int, detail: str) -> None:
    assert by_name(sink=0.6, sink_position=float(position))["sink"].heads[0].detail == detail


def test_a_sink_that_moves_says_no_position() -> None:
    found = figures(30, sink=0.6)
    found["sink_position"][:] = np.arange(30)[:, None, None] % 12
    collector = Collector(LAYERS, HEADS)
    collector.add(documents(range(30)), found, links())
    named = {each.role.name: each for each in roles(collector.corpus())}
    assert named["sink"].heads[0].detail == ""


def test_induction_is_given_or_not_measured() -> None:
    plain = corpus()
    assert {each.role.name: each for each in roles(plain)}["induction"].scores is None
    scores = np.zeros((len(LAYERS), HEADS))
    scores[1, 2] = 0.94
    found = {each.role.name: each for each in roles(replace(plain, induction=Distribution.of(scores[None])))}[
        "induction"
    ]
    assert [(head.layer, head.head, head.score) for head in found.heads] == [(1, 2, 0.94)]


def test_a_figure_that_no_document_has_gives_no_role() -> None:
    assert by_name(duplicate=np.nan)["duplicate"].heads == ()


def test_rules_are_written_with_their_sign() -> None:
    rules = {role.name: role.rule for role in ROLES}
    assert (rules["positional"], rules["sink"], rules["broad"]) == ("≥ 0.9", "> 0.3", "> 0.8")
    assert [offset_name(offset) for offset in (-2, 0, 3)] == ["−2", "0", "+3"]
