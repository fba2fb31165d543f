"""What each head does in one text: the roles of a corpus, as far as one text tells them."""

from __future__ import annotations

import numpy as np

from attnviz.analysis.text.offsets import Measured, positional_heads

_FIGURES = {name: name for name in ("sink", "previous", "next", "self", "punctuation")} | {
    "broad": "normalised_entropy"
}


def roles_in_text(found: Measured) -> dict[str, list[tuple[int, int]]]:
    """The heads (place of the layer, head) of each role that has some in this text, by the thresholds of ``ROLES``.

    Roles that need repeated tokens are not told from one text. From one text to another there are no offsets, and no
    roles that go by them.
    """
    from attnviz.analysis.corpus.roles import ROLES  # of a corpus: few ask for them, and they take time to import

    numbers = found.layer_numbers
    roles = {"positional": [(numbers.index(head.layer), head.head) for head in positional_heads(found)]}
    apart = found.keys is not None
    for role in ROLES:
        if role.name in _FIGURES and not (apart and role.name in ("previous", "next", "self")):
            places = np.argwhere(role.holds(found.figures[_FIGURES[role.name]])).tolist()
            roles[role.name] = [(layer, head) for layer, head in places]
    return {name: heads for name, heads in roles.items() if heads}
