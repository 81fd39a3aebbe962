"""The hibari voice: a sentence to telephone audio and the times of its words, in this thread.

Blocking; `synthesiser.py` runs it on its threads.
"""

from __future__ import annotations

import gzip
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import soxr

import telebot
from telebot.call.errors import ProviderError
from telebot.providers.alignment import count_spoken, phoneme_words, written_words
from telebot.providers.spoken import SpokenText
from telebot.providers.voicing import Floats

if TYPE_CHECKING:
    from hibari import Hibari

VOICES = ("heart",)  # the one inside the wheel; hibari would fetch others over the network
VOICE_RATE_HZ = 24000
DURATION_FRAME_S = 0.025
DURATIONS = "/CumSum_output_0"  # inside the graph: at which frame each phoneme ends
GAIN = 1.5  # speech at -24 dBFS as the voice gives it; -20 suits the telephone
LEAD_S = 0.02
GAP_S = 0.25  # kept after a sentence; the voice itself leaves 0.4-0.5 s, and 0.3 s before it
QUIET = 0.0075
SEED = 1  # of the breath noise, so that the same sentence is the same audio


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence: int16 little-endian mono at `rate_hz`, and when each word is heard in it."""

    pcm16: bytes
    rate_hz: int
    spoken: SpokenText

    @property
    def audio_s(self) -> float:
        return len(self.pcm16) / 2 / self.rate_hz


def load_voice(name: str) -> Hibari:
    """The voice with its phoneme durations as one more output.

    The network computes them but does not return them. Appending a `graph { output { name } }`
    field to the serialised model declares them: protobuf merges repeated embedded messages.
    """
    from hibari import Hibari
    from hibari.voices import voice_path

    with open(voice_path(name, download_missing=False), "rb") as file:
        graph = file.read() + _field(7, _field(12, _field(1, DURATIONS.encode())))
    return Hibari(voice=name, model=graph, g2p=_reader())


def _reader() -> Any:
    """The voice's reading rules, built as `hibari.g2p.G2P` builds itself, but for who parses their
    dictionaries: that was a quarter of a second of every start, and is half of it by orjson."""
    from hibari import g2p

    def read(name: str) -> Any:
        file = Path(g2p.ASSETS, name).read_bytes()
        return orjson.loads(gzip.decompress(file) if name.endswith(".gz") else file)

    reader = g2p.G2P.__new__(g2p.G2P)
    gold, silver = read("lexicon_us_gold.json.gz"), read("lexicon_us_silver.json.gz")
    reader.lexicon = g2p.Lexicon(gold, silver, False)
    reader.tokenizer = g2p.Tokenizer(read("tokenizer_exceptions.json"))
    reader.tagger = g2p.Tagger(read("tagger.json.gz"))
    reader._oov, reader.unk, reader.british = None, "", False  # its net for new words comes later
    return reader


def made_by() -> str:
    """Which code shapes the sound of the local voices, for who keeps what they have said."""
    from hibari import __version__ as hibari_version

    return f"hibari {hibari_version}, telebot {telebot.__version__}"


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def say(voice: Hibari, sentence: str, rate_hz: int) -> Clip:
    """One sentence in the calling thread; a clip without audio where nothing can be spoken.

    Raises ProviderError for a text the voice's reading rules stumble over.
    """
    waves: list[Floats] = []
    spans: list[tuple[float, float]] = []
    at_s = 0.0

    def count(word: str) -> int:
        return count_spoken(voice.g2p(unicodedata.normalize("NFKC", word)))

    try:  # NFKC: its number rules take "¹" for a digit and then cannot read it
        for phonemes in voice.phonemize(unicodedata.normalize("NFKC", sentence)):
            wave, found = _speak(voice, phonemes)
            waves.append(wave)
            spans += [(at_s + start_s, at_s + end_s) for start_s, end_s in found]
            at_s += len(wave) / VOICE_RATE_HZ
        words = written_words(sentence, spans, count)
    except (ValueError, LookupError, TypeError) as error:
        raise ProviderError("the local voice cannot read a sentence") from error
    if not spans:
        return Clip(b"", rate_hz, SpokenText(sentence, ()))
    audio = soxr.resample(np.concatenate(waves), VOICE_RATE_HZ, rate_hz, "HQ")
    pcm16 = (np.clip(audio, -1.0, 1.0) * 32767).astype("<i2").tobytes()
    return Clip(pcm16, rate_hz, SpokenText(" ".join(w.text for w in words), words))


def _speak(voice: Hibari, phonemes: str) -> tuple[Floats, list[tuple[float, float]]]:
    """Audio at 24 kHz without the silence around it, and the spoken words' times in it."""
    from hibari import dsp

    ids = voice.ids(phonemes)
    known = "".join(symbol for symbol in phonemes if symbol in voice.vocab)
    if not known:
        return np.zeros(0, np.float32), []
    feed = {"ids": np.asarray([ids], np.int64), "speed": np.ones(1, np.float32)}
    *parts, ends = voice.sess.run(["lh", "theta", "ln", "lr", "phi", "f0", DURATIONS], feed)
    wave = dsp.synth(*(part[0] for part in parts), np.random.default_rng(SEED)) * GAIN
    first, last = _loud_part(wave)
    ends_s = [float(end) * DURATION_FRAME_S - first / VOICE_RATE_HZ for end in ends]
    spans = phoneme_words(known, ends_s[1:-1], ends_s[0])
    length_s = (last - first) / VOICE_RATE_HZ
    return wave[first:last], [(max(0.0, a), min(b, length_s)) for a, b in spans]


def _loud_part(wave: Floats) -> tuple[int, int]:
    """First and last sample to keep: `LEAD_S` before the first sound, `GAP_S` after the last."""
    step = VOICE_RATE_HZ // 200
    whole = wave[: len(wave) // step * step].reshape(-1, step)
    loud = np.flatnonzero(np.abs(whole).max(axis=1) > QUIET)
    if not len(loud):
        return 0, 0
    first = int(loud[0]) * step - round(LEAD_S * VOICE_RATE_HZ)
    last = (int(loud[-1]) + 1) * step + round(GAP_S * VOICE_RATE_HZ)
    return max(0, first), min(len(wave), last)
