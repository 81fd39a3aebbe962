"""How alike two sentences are, by static word embeddings that come inside the wordllama wheel.

The model (16 MB) is loaded once per process, by the first agent that has examples; a sentence then
takes about 0.1 ms. Its two files are read here: the package around them imports an HTTP client, to
fetch others, and widens all of the numbers where a sentence needs those of its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
WEIGHTS = "weights/l2_supercat_256.safetensors"


@dataclass(frozen=True, slots=True)
class _Model:
    tokenizer: Any
    weights: NDArray[np.float16]  # (tokens, 256)

    def vector(self, sentence: str) -> Vectors:
        """The mean of its tokens' vectors; zeros where there are none."""
        tokens = self.tokenizer.encode(sentence, add_special_tokens=False).ids
        if not tokens:
            return np.zeros(self.weights.shape[1], np.float32)
        mean: Vectors = self.weights[tokens].astype(np.float32).mean(axis=0, dtype=np.float32)
        return mean


@lru_cache(maxsize=1)
def _model() -> _Model:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")  # which is not imported
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("wordllama is not installed; its wheel holds the sentence model")
    folder = Path(spec.submodule_search_locations[0])
    with safe_open(str(folder / WEIGHTS), framework="np") as file:
        weights = file.get_tensor("embedding.weight")
    return _Model(Tokenizer.from_file(str(folder / TOKENIZER)), weights)


def vectors(sentences: list[str]) -> Vectors:
    """One unit vector per sentence, shape (sentences, 256); zeros where there are no words."""
    model = _model()
    embedded = np.stack([model.vector(sentence) for sentence in sentences])
    lengths = np.linalg.norm(embedded, axis=1, keepdims=True)
    unit: Vectors = np.nan_to_num(embedded / np.where(lengths == 0, 1, lengths))
    return unit
