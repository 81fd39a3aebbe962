"""The moonshine tiny-en recogniser: 16 kHz samples to text, in this thread.

The weights are those of the `moonshine-voice` wheel; they are run here by onnxruntime, because the
wheel's own library starts a spinning thread for each core and each of its two networks (measured
on one core: 108 ms CPU an utterance against 47 ms here, with the same texts), and may not be used
by two threads. Called by `recogniser.py`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from telebot.call.errors import ProviderError
from telebot.providers.voicing import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE_HZ = 16000
LEAST_SAMPLES = 1600  # the encoder's convolutions need 895
TOKENS_PER_S = 6.5  # nobody speaks faster; ends the model's loops on odd sounds
START, END = 1, 2
HEADS, HEAD_SIZE = 8, 36


class Moonshine:
    """Encoder and decoder of the model. Stateless between calls, so threads may share one."""

    def __init__(self, folder: Path) -> None:
        self._encoder = _session(folder / "encoder_model.ort")
        self._decoder = _session(folder / "decoder_model_merged.ort")
        self._tokens = read_tokens((folder / "tokenizer.bin").read_bytes())
        self._caches = [
            entry.name.removeprefix("past_key_values.")
            for entry in self._decoder.get_inputs()
            if entry.name.startswith("past_key_values.")
        ]

    @classmethod
    def load(cls) -> Moonshine:
        """The English model inside the installed wheel (0.2 s)."""
        spec = importlib.util.find_spec("moonshine_voice")
        if spec is None or not spec.submodule_search_locations:
            raise ProviderError("moonshine-voice is not installed; its wheel holds the recogniser")
        return cls(Path(spec.submodule_search_locations[0]) / "assets" / "tiny-en")

    def transcribe(self, samples: Floats) -> str:
        """Text of float samples in [-1, 1) at 16 kHz: the likeliest token after each other.

        Raises ProviderError where the networks cannot run (no memory, a broken file).
        """
        from onnxruntime.capi import (  # type: ignore[import-untyped]
            onnxruntime_pybind11_state as faults,
        )

        padded = np.zeros((1, max(LEAST_SAMPLES, len(samples))), np.float32)
        padded[0, : len(samples)] = samples
        mask = np.ones(padded.shape, np.int64)
        most = round(len(samples) / RATE_HZ * TOKENS_PER_S) + 2
        try:
            hidden = self._encoder.run(
                ["last_hidden_state"], {"input_values": padded, "attention_mask": mask}
            )[0]
            return self._text(self._decode(hidden, mask, most))
        except (faults.Fail, faults.RuntimeException, faults.InvalidArgument) as error:
            raise ProviderError("the local recogniser failed") from error

    def _decode(self, hidden: Any, mask: Any, most: int) -> list[int]:
        feed: dict[str, Any] = {
            f"past_key_values.{name}": np.zeros((1, HEADS, 0, HEAD_SIZE), np.float32)
            for name in self._caches
        }
        feed["encoder_hidden_states"] = hidden
        feed["encoder_attention_mask"] = mask  # by sample: the graph itself thins it out to frames
        feed["use_cache_branch"] = np.array([False])
        outputs = ["logits", *(f"present.{name}" for name in self._caches)]
        token, found = START, []
        for _ in range(most):
            feed["input_ids"] = np.array([[token]], np.int64)
            logits, *present = self._decoder.run(outputs, feed)
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            found.append(token)
            first = not feed["use_cache_branch"][0]
            for name, value in zip(self._caches, present, strict=True):
                if first or "decoder" in name:  # the encoder's part stays as the first step made it
                    feed[f"past_key_values.{name}"] = value
            feed["use_cache_branch"] = np.array([True])
        return found

    def _text(self, tokens: list[int]) -> str:
        joined = b"".join(self._tokens[token] for token in tokens)
        return joined.decode("utf-8", errors="ignore").replace("▁", " ").strip()


def read_tokens(content: bytes) -> list[bytes]:
    """The tokenizer file: for each token its length (one byte; from 128 on two, low seven bits
    first) and its UTF-8 bytes, with ▁ for a space. Raises ProviderError where it is cut short."""
    tokens, at = [], 0
    while at < len(content):
        size = content[at]
        at += 1
        if size >= 128 and at < len(content):
            size += (content[at] - 1) * 128
            at += 1
        if at + size > len(content):
            raise ProviderError("the recogniser's tokenizer file is cut short")
        tokens.append(content[at : at + size])
        at += size
    return tokens


def _session(path: Path) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
