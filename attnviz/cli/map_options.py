"""The options that say which maps are shown, and what counts in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from attnviz.cli.options import VIEW
from attnviz.cli.reading import decode_argument

LanguageOption = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        help="The language whose function words do not count: de, German, zh, … or none.",
        rich_help_panel=VIEW,
    ),
]


WeightsOption = Annotated[
    Literal[
        "attention", "norm", "norm+heads", "norm+residual", "rollout", "flow", "zeroing", "contribution",
        "contribution-", "gradient",
    ]
    | None,
    typer.Option(
        metavar="WHAT",
        help="What the numbers are: attention, or where information comes from: norm, norm+heads, norm+residual, "
        "rollout, flow or zeroing; or what adds to a prediction, or takes from it: contribution or contribution-; or "
        "how a prediction depends on them: gradient.",
        show_default="attention, or what the record holds",
        rich_help_panel=VIEW,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class MapOptions:
    """Which maps are shown, and what counts in them."""

    which: Annotated[
        Literal["encoder", "decoder", "cross"] | None,
        typer.Option(
            "--map",
            metavar="WHICH",
            help="Which map of an encoder–decoder: encoder, decoder or cross.",
            show_default="cross",
            rich_help_panel=VIEW,
        ),
    ] = None
    layer: Annotated[
        str | None, typer.Option(metavar="N,N-N", help="The layers of the maps.", rich_help_panel=VIEW)
    ] = None
    head: Annotated[
        str | None,
        typer.Option(metavar="N,N-N|mean", help="The heads of the maps, or their mean.", rich_help_panel=VIEW),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="A:B|WORD",
            help="Only these rows of the maps: 120:160, or a word: bank, the:2.",
            rich_help_panel=VIEW,
        ),
    ] = None
    cols: Annotated[
        str | None,
        typer.Option(
            metavar="A:B|WORD",
            help="Only these columns of the maps: 3:40, 3:, :40, 3, or a word.",
            rich_help_panel=VIEW,
        ),
    ] = None
    unit: Annotated[
        Literal["token", "word", "sentence", "line", "paragraph"] | None,
        typer.Option(
            metavar="UNIT",
            help="The unit of rows, columns and links: token, word, sentence, line or paragraph.",
            show_default="word",
            rich_help_panel=VIEW,
        ),
    ] = None
    weights: WeightsOption = None
    of: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="With --weights gradient or contribution: the word or label whose logit it is of.",
            show_default="what the model predicts",
            rich_help_panel=VIEW,
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="With --weights gradient or contribution: another, whose logit is subtracted.",
            rich_help_panel=VIEW,
        ),
    ] = None
    tokens: Annotated[bool, typer.Option("--tokens", help="Short for --unit token.", rich_help_panel=VIEW)] = False
    per_token: Annotated[
        bool,
        typer.Option(
            "--per-token",
            help="Divide weights by the tokens of what is looked at, so that length does not win.",
            rich_help_panel=VIEW,
        ),
    ] = False
    special: Annotated[
        bool, typer.Option("--special", help="Count special tokens and punctuation.", rich_help_panel=VIEW)
    ] = False
    language: LanguageOption = "en"

    def answer(self) -> dict[str, str | None]:
        """The answer that the weights are of, as keyword arguments of ``Model.attend``."""
        found = {"of": self.of, "against": self.against}
        return {name: None if value is None else decode_argument(value) for name, value in found.items()}


ThresholdOption = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="WEIGHT",
        help="Leave smaller weights out of the maps: 0.1 or 10%.",
        rich_help_panel=VIEW,
    ),
]
