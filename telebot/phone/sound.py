"""Makes utterances of what a caller brings along: WAV files and synthesised sentences."""

from __future__ import annotations

import audioop
import wave
from pathlib import Path

from telebot.audio import g711, levels, resample
from telebot.phone.microphone import FRAME, Utterance

SPEECH_DBFS = -42.0  # a frame of an utterance below this is pause or breath
LONGEST_WAV_S = 300.0
TAIL = 4 * FRAME  # kept after the last loud frame, so that a soft ending is not cut


class BadSound(ValueError):
    """A sound file that cannot be played; the message names the file and the reason."""


def utterance(text: str, pcm16: bytes) -> Utterance:
    """16-bit PCM at 8 kHz without the silence around it. Raises `BadSound` where all is silent."""
    step = 2 * FRAME
    loud = [
        at
        for at in range(0, len(pcm16), step)
        if levels.level_dbfs(pcm16[at : at + step]) > SPEECH_DBFS
    ]
    if not loud:
        raise BadSound(f"{text}: nothing to be heard in it")
    cut = pcm16[loud[0] : loud[-1] + step + 2 * TAIL]
    return Utterance(text, cut, 0, min((loud[-1] + step - loud[0]) // 2, len(cut) // 2))


def read_wav(path: Path) -> bytes:
    """A WAV file of any rate, width and number of channels as 16-bit PCM at 8 kHz, mono.

    Raises `BadSound`."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if file.getnframes() > LONGEST_WAV_S * rate_hz:
                raise BadSound(f"{path}: longer than {LONGEST_WAV_S:.0f} s")
            pcm = file.readframes(file.getnframes())
    except FileNotFoundError:
        raise BadSound(f"{path}: no such file") from None
    except (wave.Error, EOFError, OSError) as error:
        raise BadSound(f"{path}: not a WAV file of PCM: {error}") from None
    if not 1 <= channels <= 2:
        raise BadSound(f"{path}: {channels} channels; one or two can be played")
    if width == 1:  # 8-bit WAV is unsigned
        pcm = audioop.bias(pcm, 1, -128)
    pcm16 = audioop.lin2lin(pcm, width, 2)
    if channels == 2:
        pcm16 = audioop.tomono(pcm16, 2, 0.5, 0.5)
    return resample.resample(pcm16, rate_hz, g711.RATE_HZ)


def write_wav(path: Path, left_ulaw: bytes, right_ulaw: bytes) -> None:
    """A stereo recording, 16-bit at 8 kHz, the shorter side filled up with silence."""
    length = max(len(left_ulaw), len(right_ulaw))
    left = g711.decode(left_ulaw.ljust(length, g711.SILENCE))
    right = g711.decode(right_ulaw.ljust(length, g711.SILENCE))
    stereo = audioop.add(audioop.tostereo(left, 2, 1, 0), audioop.tostereo(right, 2, 0, 1), 2)
    # opened here: a wave of a path that cannot be opened complains once more when it is collected
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(g711.RATE_HZ)
        file.writeframes(stereo)
