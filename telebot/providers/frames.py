"""Frames of our own that the speech providers push beside Pipecat's.

They travel from a provider in `providers/` to the phone transport and the turn logic in `speech/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, SystemFrame

from telebot.providers.spoken import SpokenText, Word

__all__ = ["EmptyTranscriptFrame", "SpokenText", "Word", "WordTimesFrame"]


@dataclass
class WordTimesFrame(DataFrame):
    """Which words some audio says, and when.

    One frame for each synthesised sentence, pushed before its first `TTSAudioRawFrame`; `audio_s`
    is the length of that sentence's audio, and word times count from its first sample. Several may
    belong to one `context_id` (one reply). With `at_s`, the sentence begins there in the reply's
    audio, and the frame may come at any time; `replaces`: it is right about the words from there
    on, and what was said of them before was a guess.
    """

    context_id: str
    words: tuple[Word, ...]
    audio_s: float
    at_s: float | None = None
    replaces: bool = False

    def spoken(self) -> SpokenText:
        """The same words with their text joined."""
        return SpokenText(" ".join(w.text for w in self.words), self.words)


@dataclass
class EmptyTranscriptFrame(SystemFrame):
    """The recogniser has finished a stretch of caller sound and found no words in it.

    Pushed in place of a `TranscriptionFrame` (a cough, a door, a breath). `speech_s` is how long
    the sound was, from preroll to the end the VAD saw; `failed` says that there may have been
    words but the recogniser could not be asked (its queue was full, or it broke).
    """

    speech_s: float
    failed: bool = False
