"""The turn model (smart-turn v3, inside Pipecat) in a process of its own.

One inference is 25 to 36 ms of CPU: in the serving process it would be most of the jitter of every
other call. Started by `turn_model.py` with one end of a socket pair as file descriptor; ends when
that socket closes. A request is id and length (two u32, little endian) and mu-law of at most eight
seconds; the answer is the id and the probability that the turn is over (u32, f32). What waits when
the model becomes free runs as one batch.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from importlib import resources

import numpy as np
import onnxruntime as ort
import soxr
from numpy.typing import NDArray
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

from telebot.audio import g711

REQUEST = struct.Struct("<II")
ANSWER = struct.Struct("<If")
MAX_SECONDS = 8
MAX_BYTES = MAX_SECONDS * g711.RATE_HZ
MODEL_RATE_HZ = 16_000
MODEL_SAMPLES = MAX_SECONDS * MODEL_RATE_HZ
BATCH = 4


class TurnModel:
    """Loads the model; `probabilities` of turns given as mu-law, newest audio last."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = resources.files("pipecat.audio.turn.smart_turn.data") / "smart-turn-v3.2-cpu.onnx"
        self._session = ort.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, turns: list[bytes]) -> list[float]:
        features = np.stack([self._features(turn) for turn in turns])
        (answer,) = self._session.run(None, {"input_features": features})
        return [float(value) for value in np.ravel(answer)]

    def _features(self, ulaw: bytes) -> NDArray[np.float32]:
        samples = g711.to_float(ulaw[-MAX_BYTES:])
        wide = soxr.resample(samples, g711.RATE_HZ, MODEL_RATE_HZ, quality="HQ")[-MODEL_SAMPLES:]
        padded = np.pad(wide, (MODEL_SAMPLES - len(wide), 0))
        mel: NDArray[np.float32] = compute_whisper_log_mel_features(padded, do_normalize=True)
        return mel


def serve(connection: socket.socket) -> None:
    """Answer until the other end closes."""
    model = TurnModel()
    model.probabilities([g711.SILENCE * g711.RATE_HZ])
    connection.sendall(ANSWER.pack(0, 1.0))  # ready
    buffer = bytearray()
    waiting: list[tuple[int, bytes]] = []
    while True:
        if not waiting or select.select([connection], [], [], 0)[0]:
            received = connection.recv(1 << 18)
            if not received:
                return
            buffer += received
            waiting += _requests(buffer)
            continue
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        answers = model.probabilities([ulaw for _, ulaw in batch])
        for (number, _), probability in zip(batch, answers, strict=True):
            connection.sendall(ANSWER.pack(number, probability))


def _requests(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole requests out of the buffer."""
    taken = []
    while len(buffer) >= REQUEST.size:
        number, size = REQUEST.unpack_from(buffer)
        if len(buffer) < REQUEST.size + size:
            break
        taken.append((number, bytes(buffer[REQUEST.size : REQUEST.size + size])))
        del buffer[: REQUEST.size + size]
    return taken


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
