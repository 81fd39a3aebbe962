"""The turn model (smart-turn v3, inside Pipecat) in a process of its own.

One inference is 25 to 36 ms of CPU: in the serving process it would be most of the jitter of every
other call. Started by `turn_model.py` with one end of a socket pair as file descriptor; ends when
that socket closes. A request is id, rate and length (three u32, little endian) and at most eight
seconds of audio, mu-law at 8 kHz or 16-bit PCM at 16; the answer is the id and the probability that
the turn is over (u32, f32). What waits when the model becomes free runs as one batch.

Of Pipecat only two files are used, the model and the features of its input (numpy alone); they are
taken out of its folder, because to import the package takes as long as to load the model.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import soxr
from numpy.typing import NDArray

from telebot.audio.line import PHONE, TICKS_PER_S, ULAW, WIDE

Turn = tuple[int, bytes]  # rate, audio of the form that has it
REQUEST = struct.Struct("<III")
ANSWER = struct.Struct("<If")
MAX_SECONDS = 8
MAX_TICKS = MAX_SECONDS * TICKS_PER_S
FORMS = {form.rate_hz: form for form in (PHONE.hears, WIDE.hears)}
MODEL_RATE_HZ = 16_000
MODEL_SAMPLES = MAX_SECONDS * MODEL_RATE_HZ
BATCH = 4


class TurnModel:
    """Loads the model; `probabilities` of turns, newest audio last."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        folder = _smart_turn()
        model = folder / "data" / "smart-turn-v3.2-cpu.onnx"
        self._session = ort.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._mel = _module(folder / "_whisper_features.py").compute_whisper_log_mel_features

    def probabilities(self, turns: list[Turn]) -> list[float]:
        features = np.stack([self._features(*turn) for turn in turns])
        (answer,) = self._session.run(None, {"input_features": features})
        return [float(value) for value in np.ravel(answer)]

    def _features(self, rate_hz: int, audio: bytes) -> NDArray[np.float32]:
        form = FORMS[rate_hz]
        wide = form.to_float(audio[-MAX_TICKS * form.bytes_a_tick :])
        if rate_hz != MODEL_RATE_HZ:
            wide = soxr.resample(wide, rate_hz, MODEL_RATE_HZ, quality="HQ")
        wide = wide[-MODEL_SAMPLES:]
        padded = np.pad(wide, (MODEL_SAMPLES - len(wide), 0))
        mel: NDArray[np.float32] = self._mel(padded, do_normalize=True)
        return mel


def _smart_turn() -> Path:
    """The folder of the turn model inside Pipecat, which is found and not imported."""
    spec = find_spec("pipecat")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("pipecat-ai is not installed; its wheel holds the turn model")
    return Path(spec.submodule_search_locations[0]) / "audio" / "turn" / "smart_turn"


def _module(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(connection: socket.socket) -> None:
    """Answer until the other end closes."""
    model = TurnModel()
    model.probabilities([(ULAW.rate_hz, ULAW.silence(TICKS_PER_S))])
    connection.sendall(ANSWER.pack(0, 1.0))  # ready
    buffer = bytearray()
    waiting: list[tuple[int, Turn]] = []
    while True:
        if not waiting or select.select([connection], [], [], 0)[0]:
            received = connection.recv(1 << 18)
            if not received:
                return
            buffer += received
            waiting += _requests(buffer)
            continue
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        answers = model.probabilities([turn for _, turn in batch])
        for (number, _), probability in zip(batch, answers, strict=True):
            connection.sendall(ANSWER.pack(number, probability))


def _requests(buffer: bytearray) -> list[tuple[int, Turn]]:
    """Take the whole requests out of the buffer."""
    taken = []
    while len(buffer) >= REQUEST.size:
        number, rate_hz, size = REQUEST.unpack_from(buffer)
        if len(buffer) < REQUEST.size + size:
            break
        taken.append((number, (rate_hz, bytes(buffer[REQUEST.size : REQUEST.size + size]))))
        del buffer[: REQUEST.size + size]
    return taken


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
