"""How alike two sentences are, by static word embeddings that come inside the wordllama wheel.

The model (16 MB) is loaded once per process, by the first agent that has examples; a sentence then
takes about 0.1 ms. Loading must not look for a hub, hence the cache folder inside the package.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@lru_cache(maxsize=1)
def _model() -> Any:
    package = importlib.import_module("wordllama")
    folder = Path(str(package.__file__)).parent
    return package.WordLlama.load(cache_dir=folder, disable_download=True)


def vectors(sentences: list[str]) -> Vectors:
    """One unit vector per sentence, shape (sentences, 256); zeros where there are no words."""
    embedded = np.asarray(_model().embed(sentences), dtype=np.float32)
    lengths = np.linalg.norm(embedded, axis=1, keepdims=True)
    unit: Vectors = np.nan_to_num(embedded / np.where(lengths == 0, 1, lengths))
    return unit
