"""The keys of the explorer: what each does, and where it works. The footer, the help and the palette are made of it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

from attnviz.explore.material import Material
from attnviz.explore.view import Pane, View


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes:
        keys: the names that textual has for it, with commas between them.
        shown: how it is written.
        label: what it does, in a word or two.
        about: what it does, in a sentence.
        action: the action of the app.
        panes: where it works; empty is everywhere.
        rank: how early it stands in the footer; those with 0 do not.
    """

    keys: str
    shown: str
    label: str
    about: str
    action: str
    panes: tuple[Pane, ...] = ()
    rank: int = 0

    @property
    def name(self) -> str:
        """The name of the action."""
        return self.action.partition("(")[0]

    @property
    def size(self) -> int:
        """The columns that it takes in the footer."""
        return cell_len(self.shown) + cell_len(self.label) + 3


KEYS = (
    Key("left,h", "← h", "left", "Move to the left.", "move(0, -1)"),
    Key("right,l", "→ l", "right", "Move to the right.", "move(0, 1)"),
    Key("up,k", "↑ k", "up", "Move up.", "move(-1, 0)"),
    Key("down,j", "↓ j", "down", "Move down.", "move(1, 0)"),
    Key("pageup", "PgUp", "page up", "Move up by ten.", "move(-10, 0)"),
    Key("pagedown", "PgDn", "page down", "Move down by ten.", "move(10, 0)"),
    Key("home", "Home", "first", "Go to the first head, word or cell.", "edge(-1)"),
    Key("end", "End", "last", "Go to the last head, word or cell.", "edge(1)"),
    Key("tab", "Tab", "pane", "Go to the next pane: heads, map, text; Shift-Tab goes back.", "pane(1)", (), 2),
    Key("shift+tab", "Shift-Tab", "pane before", "Go to the pane before.", "pane(-1)"),
    Key("enter", "Enter", "map", "Go from a head to its map.", "enter", ("heads",), 3),
    Key("enter", "Enter", "zoom, heads", "Zoom into a cell that joins several, to exact weights; of any other "
        "ask which heads take its row to its column.", "enter", ("map",), 3),
    Key("enter,space", "Enter", "pick", "Rank the heads by the links of the word under the cursor.", "enter",
        ("text",), 3),
    Key("escape", "Esc", "back", "Go back: out of a part of the map, a comparison, a picked word.", "free", (), 4),
    Key("o", "o", "order", "Order the heads: by layer, strongest link, entropy, sink, role.", "order", (), 6),
    Key("slash", "/", "word", "Find a word in the text.", "find_word", (), 7),
    Key("f", "f", "A → B", "Ask which heads take one word to another.", "find_links", (), 8),
    Key("c", "c", "compare", "Compare with another head, or with another text.", "compare", (), 9),
    Key("a", "a", "ablate", "Ablate the head under the cursor: what changes in what the model says?", "ablate", (), 10),
    Key("t", "t", "text", "Type another text.", "type_text", (), 11),
    Key("n", "n", "new token", "Go to the next token that the model wrote: what made it?", "new_token(1)", (), 5),
    Key("p", "p", "token before", "Go to the token before that the model wrote.", "new_token(-1)"),
    Key("m", "m", "map", "Switch the map: cross, encoder, decoder.", "next_map", (), 12),
    Key("v", "v", "arcs", "Show the map as arcs, lines from words to what they look at, or as cells again.", "arcs", (),
        10),
    Key("w", "w", "tokens", "Switch between words and tokens.", "unit", (), 13),
    Key("s", "s", "special", "Show special tokens and punctuation, or hide them.", "special", (), 14),
    Key("plus,equals_sign", "+", "threshold", "Raise the threshold: smaller weights vanish.", "threshold(1)", (), 15),
    Key("minus", "−", "lower", "Lower the threshold.", "threshold(-1)"),
    Key("S", "S", "save", "Save the map as SVG, PNG, PDF, or the record as JSON; say the command that does.", "save",
        (), 11),
    Key("y", "y", "copy", "Copy the command that shows the same.", "copy", (), 16),
    Key("question_mark,f1", "?", "keys", "Say what all keys do.", "keys", (), 1),
    Key("ctrl+p", "Ctrl-P", "palette", "Search all commands.", "command_palette"),
    Key("q", "q", "quit", "Quit.", "leave(0)", (), 1),
    Key("ctrl+c", "Ctrl-C", "end", "End at once, whatever is running.", "leave(130)"),
)  # fmt: skip


def works(key: Key, pane: Pane, view: View, material: Material | None) -> bool:
    """Whether a key does something here."""
    if key.panes and pane not in key.panes:
        return False
    name = key.name
    if name in ("keys", "leave", "command_palette"):
        return True
    if material is None:
        return False
    if name == "next_map":
        return view.map is not None or material.observation.kind != "self"
    if name == "new_token":
        return bool(material.makers)
    if name == "free":
        return bool(view.parts or view.other or view.picked is not None or view.made is not None or view.versus)
    if name == "unit":
        return not material.observation.large
    if name == "ablate":
        return not material.units.measure.by_layer
    return True


def footer(pane: Pane, view: View, material: Material | None, wide: int) -> list[Key]:
    """The keys that the last line names: those that work here, the most wanted first, as far as there is room."""
    here = sorted((key for key in KEYS if key.rank and works(key, pane, view, material)), key=lambda key: key.rank)
    kept, used = [], 0
    for key in here:
        if used + key.size <= wide:
            kept.append(key)
            used += key.size
    return kept


def bindings() -> dict[str, str]:
    """The action of each key that the program is bound to, by the key's name; the palette is bound by itself."""
    return {name: key.action for key in KEYS if key.name != "command_palette" for name in key.keys.split(",")}
