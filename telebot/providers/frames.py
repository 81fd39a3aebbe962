"""Frames of our own that the speech providers push beside Pipecat's.

They travel from a provider in `providers/` to the phone transport and the turn logic in `speech/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, SystemFrame


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it is written in the reply, with the stretch of audio that says it.

    Times are seconds from the first sample of the audio the word belongs to.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text and when each of its words is heard; `words` joined by spaces is the text."""

    text: str
    words: tuple[Word, ...]

    def heard(self, played_s: float) -> str:
        """The words of which at least half was played in the first `played_s` seconds."""
        return " ".join(w.text for w in self.words if (w.start_s + w.end_s) / 2 <= played_s)


@dataclass
class WordTimesFrame(DataFrame):
    """Announces the audio that follows it at once: which words it says, and when.

    One frame for each synthesised sentence, pushed before the first `TTSAudioRawFrame` of that
    sentence; `audio_s` is the length of that sentence's audio, and word times count from its
    first sample. Several may belong to one `context_id` (one reply).
    """

    context_id: str
    words: tuple[Word, ...]
    audio_s: float

    def spoken(self) -> SpokenText:
        """The same words with their text joined."""
        return SpokenText(" ".join(w.text for w in self.words), self.words)


@dataclass
class EmptyTranscriptFrame(SystemFrame):
    """The recogniser has finished a stretch of caller sound and found no words in it.

    Pushed in place of a `TranscriptionFrame` (a cough, a door, a breath). `speech_s` is how long
    the sound was, from preroll to the end the VAD saw.
    """

    speech_s: float
