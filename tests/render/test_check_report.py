"""The report of a check in the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnviz.attention.kernel import Kind
from attnviz.model.check.report import (
    Check,
    Choice,
    GenerationCheck,
    LayerCheck,
    Recomputed,
    Rounding,
    RowCounts,
    WindowCounts,
)
from attnviz.render.terminal.report import check_line, check_table, unchecked_line
from tests.render.screen import lines

ALL, SOME = RowCounts(15, 15), RowCounts(64, 20000)
TYPES = {"float32": 1e-5, "float64": 1e-10, "bfloat16": 1e-5}


def check(apart: float = 2.4e-7, *, dtype: str = "float32", double: Check | None = None, kind: Kind = "self") -> Check:
    layers = LayerCheck(kind, 0, apart / 2, 1e-8, 0, 3e-7, ALL), LayerCheck(kind, 1, apart, 2e-8, 2, 4e-7, ALL)
    return Check(6, dtype, TYPES[dtype], apart, layers[1], layers, double)


def rounded(times: float, apart: float, double: Check, dtype: str = "float32") -> Check:
    """Return a check beyond the tolerance, ``times`` as far as rounding goes."""
    rounding = Rounding(times, double.dtype, "self", 1, 2)
    return replace(check(apart, dtype=dtype, double=double), rounding=rounding)


def blind(apart: float) -> Check:
    """Return a check of a model whose own attention returns no weights."""
    layer = LayerCheck("self", 4, None, None, None, apart, ALL)
    return Check(0, "float32", 1e-5, apart, layer, (layer,))


EXACT = check(1e-15, dtype="float64")
LINES = {
    "passed": (check(), "✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows"),
    "exact": (check(0), "✓ 6 heads agree with transformers to the last bit in all 15 rows"),
    "rounding": (
        rounded(1.25, 2e-5, EXACT),
        "✓ 6 heads agree with transformers to 2.0e-05 in float32 in all 15 rows, which is rounding: "
        "1.2 times as far as rounding moves its own (6 is the bound), and to 1.0e-15 in float64",
    ),
    "half precision": (
        rounded(1.25, 0.02, check(), "bfloat16"),
        "✓ 6 heads agree with transformers to 2.0e-02 in bfloat16 in all 15 rows, which is rounding: "
        "1.2 times as far as rounding moves its own (6 is the bound), and to 2.4e-07 in float32",
    ),
    "failed": (
        rounded(9e3, 0.02, check(0.019, dtype="float64")),
        "✗ attnviz and transformers differ by 2.0e-02 (L1 H2; tolerance 1e-05) in float32, "
        "and by 1.9e-02 in float64: this is a mistake, not rounding",
    ),
    "failed in float64": (
        check(0.02, dtype="float64"),
        "✗ attnviz and transformers differ by 2.0e-02 (L1 H2; tolerance 1e-10) in float64",
    ),
    "failed in float32 alone": (
        rounded(9e3, 0.02, EXACT),
        "✗ attnviz and transformers differ by 2.0e-02 (L1 H2; tolerance 1e-05) in float32, "
        "9000 times as far as rounding moves its own, but not in float64: this is a mistake in float32 alone",
    ),
    "failed in half precision alone": (
        rounded(50, 0.4, check(), "bfloat16"),
        "✗ attnviz and transformers differ by 4.0e-01 (L1 H2) in bfloat16, "
        "50 times as far as rounding moves its own, but not in float32: this is a mistake in bfloat16 alone",
    ),
    "within rounding, failed beyond": (
        rounded(2, 0.02, check(0.019), "bfloat16"),
        "✗ attnviz and transformers differ by 2.0e-02 (L1 H2) in bfloat16, "
        "and by 1.9e-02 in float32: this is a mistake, not rounding",
    ),
    "a cross map": (check(3e-7, kind="cross"), "✓ 6 heads agree with transformers to 3.0e-07 in all 15 rows"),
    "a cross map failed": (
        check(0.02, dtype="float64", kind="cross"),
        "✗ attnviz and transformers differ by 2.0e-02 (cross L1 H2; tolerance 1e-10) in float64",
    ),
    "hidden states": (
        blind(3e-7),
        "✓ the hidden states agree with transformers to 3.0e-07 (its attention returns no weights) in all 15 rows",
    ),
    "hidden states failed": (
        blind(0.02),
        "✗ attnviz and transformers differ by 2.0e-02 (L4; tolerance 1e-05) in float32",
    ),
    "by its SDPA": (
        replace(check(), against="sdpa"),
        "✓ 6 heads agree with transformers to 2.4e-07 by its SDPA (its eager attention contradicts that) "
        "in all 15 rows",
    ),
}


@pytest.mark.parametrize(("found", "said"), LINES.values(), ids=LINES)
def test_the_check_is_one_line(found: Check, said: str) -> None:
    assert lines(check_line(found), 300) == [said]
    assert found.passed is said.startswith("✓")


def test_of_another_run_is_not_called_a_check_of_what_is_shown() -> None:
    line = lines(check_line(replace(blind(3e-7), rerun=True)), 300)[0]
    assert line.startswith("not checked: transformers has no weights to hold this to; of another run, the hidden")


def test_the_check_of_some_rows_says_so() -> None:
    def line(difference: float, **rows: RowCounts) -> str:
        layers = tuple(LayerCheck(kind, 0, difference, 0, 2, None, of) for kind, of in rows.items())  # type: ignore[arg-type]
        found = Check(270, "float64", 1e-10, difference, layers[0], layers)
        return lines(check_line(found), 200)[0]

    assert line(3e-11, self=SOME) == "✓ 270 heads agree with transformers to 3.0e-11 in 64 of 20,000 rows each"
    assert line(0.02, self=SOME).endswith(
        "differ by 2.0e-02 (L0 H2; tolerance 1e-10) in float64 in 64 of 20,000 rows each"
    )
    assert line(3e-11, encoder=SOME, decoder=ALL, cross=ALL).endswith(
        "to 3.0e-11 in 64 of 20,000 rows (encoder), all 15 rows (decoder and cross)"
    )


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (None, "; figures, maps and links of all heads, recomputed from all rows, too"),
        (
            WindowCounts(3, 3, 3),
            "; figures, maps and links of all heads, recomputed from all rows of all 3 windows, too",
        ),
        (
            WindowCounts(80, 3, 80),
            " from 3 of 80 windows; figures, maps and links of all heads, recomputed from all rows of all 80 windows, "
            "too",
        ),
        (
            WindowCounts(3, 3, 1000),
            " from 3 of 1,000 windows, and the links of these rows; figures and maps, which are of all 1,000 windows, "
            "were not recomputed",
        ),
    ],
)
def test_how_many_windows_were_judged_is_said(windows: WindowCounts | None, said: str) -> None:
    heads = 0 if windows and windows.read < windows.total else 6
    found = replace(check(), recomputed=Recomputed(heads, 6, 0.1, "entropy", windows))
    assert lines(check_line(found), 300) == [f"✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows{said}"]


WRITTEN = {
    "alike": (
        GenerationCheck(5),
        "✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows; so do 5 written tokens",
    ),
    "one": (GenerationCheck(1), "✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows; so does 1 written token"),
    "by transformers": (
        GenerationCheck(5, "transformers"),
        "✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows; transformers itself wrote 5 tokens",
    ),
    "ties": (
        GenerationCheck(5, differ=(Choice(12, 7, 8, 1e-7, 4e-7),)),
        "✓ 6 heads agree with transformers to 2.4e-07 in all 15 rows; of 5 written tokens, 1 might as well be another: "
        "it scores both alike but for 1e-07, which is rounding",
    ),
    "wrong": (
        GenerationCheck(
            5, differ=(Choice(11, 7, 8, 1e-7, 4e-7), Choice(12, 7, 8, 0.5, 4e-7), Choice(13, 1, 2, 9, 4e-7))
        ),
        "✗ attnviz wrote the token 7 at position 12, where transformers writes 8: it scores that 5.0e-01 higher, "
        "and rounding explains 4.0e-07",
    ),
    "ended": (
        GenerationCheck(5, differ=(Choice(14, 7, None, float("inf"), 0),)),
        "✗ attnviz wrote the token 7 at position 14, where transformers ends the text",
    ),
}


@pytest.mark.parametrize(("found", "said"), WRITTEN.values(), ids=WRITTEN)
def test_what_the_model_wrote_is_judged_too(found: GenerationCheck, said: str) -> None:
    whole = replace(check(), written=found)
    assert lines(check_line(whole), 300) == [said]
    assert whole.passed is said.startswith("✓")


def test_the_check_table_has_a_line_a_layer() -> None:
    assert lines(check_table(check())) == [
        "layer  max |Δ| weights  mean |Δ| weights  worst head  max |Δ| hidden states",
        "   L0          1.2e-07           1.0e-08          H0                3.0e-07",
        "   L1          2.4e-07           2.0e-08          H2                4.0e-07",
    ]


def test_a_narrow_check_table_has_fewer_columns_and_whole_numbers() -> None:
    for width in (30, 40, 77):
        found = [line.split() for line in lines(check_table(check()), width)]
        assert found[-2:] == [["L0", "1.2e-07", "3.0e-07"], ["L1", "2.4e-07", "4.0e-07"]], width


def test_the_check_table_leaves_out_what_there_is_not_and_names_the_map() -> None:
    crossed = LayerCheck("cross", 0, 2e-7, 1e-8, 1, None)
    assert [line.split() for line in lines(check_table(replace(check(), layers=(crossed,))))[1:]] == [
        ["cross", "L0", "2.0e-07", "1.0e-08", "H1", "–"]
    ]
    assert [line.split() for line in lines(check_table(blind(4e-7)))[1:]] == [["L4", "–", "–", "–", "4.0e-07"]]


def test_what_was_not_checked_says_why() -> None:
    assert lines(unchecked_line("--no-check")) == ["not checked against transformers (--no-check)"]
