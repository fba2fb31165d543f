from __future__ import annotations

from tests.model.variants import IDS, TARGET
from tests.model.variants.bart import bart

VARIANTS = {
    "encoder–decoder": bart("M2M100ForConditionalGeneration"),
    "without a head": bart("M2M100Model"),
    "embeddings of their own": bart("M2M100ForConditionalGeneration", tie_word_embeddings=False),
    "embeddings that are not scaled": bart("M2M100ForConditionalGeneration", scale_embedding=False, scale=0.25),
    "padding within the text": bart(
        "M2M100ForConditionalGeneration", ids=(*IDS[:9], 1, *IDS[10:]), target=(*TARGET[:4], 1, *TARGET[5:])
    ),
    "another padding": bart("M2M100ForConditionalGeneration", ids=(*IDS[:9], 4, *IDS[10:]), pad_token_id=4),
}
