"""Which language a text is written in, by a model that comes inside the py3langid wheel.

About 70 MB and two seconds, once per process, at the first question. Its probabilities are
calibrated by the length of the text (Baldwin and Lui's langid.py, 2012, is the method), so a word
or two are mostly not known: then it is None.
"""

from __future__ import annotations

import gc
import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LEAST = 0.6  # surer than that, or not known
MOST_CHARS = 4000  # that many tell enough
# those that many speak; rare neighbours of theirs would take their short texts away
LANGUAGES = frozenset(
    """ar bg bn ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kn ko
    lt lv mk ml mr ms mt nl no pa pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur vi zh zxx
    """.split()
)
NO_LANGUAGE = "zxx"  # ISO 639-2: no linguistic content


@dataclass(frozen=True, slots=True)
class Language:
    """A BCP 47 tag and how sure it is, 0 to 1; None where somebody else said it."""

    tag: str
    score: float | None


@lru_cache(maxsize=1)
def _model() -> Any:
    langid = importlib.import_module("py3langid.langid")
    whole = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    kept = [at for at, tag in enumerate(whole.nb_classes) if tag in LANGUAGES]
    model = langid.LanguageIdentifier(
        whole.nb_ptc[:, kept].copy(),
        whole.nb_pc[kept],
        [whole.nb_classes[at] for at in kept],
        whole.tk_nextmove,
        whole.tk_output,
        norm_probs=True,
        tk_row=whole.tk_row,
    )
    del whole
    gc.collect()  # the columns of the others: 15 MB
    return model


def language(text: str) -> Language | None:
    """None where it cannot be told. Blocks for two seconds the first time."""
    if not any(map(str.isalpha, text)):
        return None
    tag, score = _model().classify(text[:MOST_CHARS])
    if score < LEAST or tag == NO_LANGUAGE:
        return None
    return Language(tag, round(float(score), 3))
