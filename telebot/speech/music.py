"""Music on one call: a loop (`audio/music.py`) through the bot's voice, a second at a time.

Nothing else is said meanwhile; whoever wants to speak stops it first.
"""

from __future__ import annotations

from telebot.audio.line import TICKS_PER_S, ULAW
from telebot.audio.music import loop
from telebot.audio.resample import resample
from telebot.speech.voice import Voice

PIECE = TICKS_PER_S
AHEAD = TICKS_PER_S // 2  # the next piece is there before the last one is played


class Music:
    """Plays on `voice` between `play` and `stop`."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._at = 0
        self.playing = False

    def play(self) -> None:
        """From its beginning, until it is stopped."""
        if not self.playing:
            self.playing, self._at = True, 0
            if self._voice.held:
                self._voice.release()
            self._more()

    def stop(self) -> None:
        """Silence at once, also of what lies in the carrier's buffer."""
        if self.playing:
            self.playing = False
            self._voice.drop()

    def _more(self) -> None:
        if not self.playing:
            return
        tune = loop()
        piece = tune[self._at : self._at + PIECE]
        self._at = (self._at + len(piece)) % len(tune)
        self._voice.say(self._formed(piece))
        self._voice.then(self._voice.queued - min(AHEAD, len(piece)), self._more)

    def _formed(self, ulaw: bytes) -> bytes:
        """As the line wants it: the tune is one for telephones."""
        form = self._voice.form
        if form is ULAW:
            return ulaw
        return form.from_pcm(resample(ULAW.to_pcm(ulaw), ULAW.rate_hz, form.rate_hz))
