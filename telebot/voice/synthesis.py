"""One text on its way to sound, whoever asked for it: judged by the content filters, found among
the sounds that are kept or spoken by whoever can, coded as it is wanted, written down.

Next: `speaking.py`. A text that is still growing is said by `saying.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from telebot.audio import wav
from telebot.audio.files import CONTAINERS, Encoder, Unchanged, whole_file
from telebot.call.errors import ApiError
from telebot.providers.clips import Script, Use
from telebot.voice import speaking
from telebot.voice.done import HIT, MISS, Done
from telebot.voice.filters import About
from telebot.voice.kept_sounds import MOST_BYTES, KeptSound
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences
from telebot.voice.routing import Wish
from telebot.voice.service import Voice
from telebot.voice.speaking import Spoken
from telebot.voice.tailoring import PLAINLY, Under

Coder = Encoder | Unchanged


@dataclass(frozen=True, slots=True)
class ToSpeak:
    """A text, and who may speak it: of a request that names `model` and `prefers`. `keep` None:
    whether its sound is kept is the server's way; `shaping` is all of the request that shapes its
    sound, for finding it again, `user` whose it is."""

    script: Script
    model: str | None
    prefers: Preferences
    format: str
    sample_rate: int | None = None
    under: Under = PLAINLY
    user: str = ""
    keep: bool | None = None
    shaping: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The format that a voice's own file may have, to be passed on as it is."""
        return self.format if self.sample_rate is None else speaking.PCM


@dataclass(frozen=True, slots=True)
class Kept:
    """A sound from before, and who spoke it."""

    sound: KeptSound
    offer: Offer


class Synthesis:
    """One text's, for the owner of an API key. All raise `ApiError`, and have it written down
    then."""

    def __init__(self, voice: Voice, key_id: str, asked: ToSpeak, offers: list[Offer]) -> None:
        """`offers` are those who may speak it, the first one first."""
        self._voice = voice
        self._key_id = key_id
        self._asked = asked
        self._offers = offers
        self._script = asked.script
        self.entry = voice.entry("tts", key_id, asked.under)

    @classmethod
    async def of(cls, voice: Voice, key_id: str, asked: ToSpeak) -> Synthesis:
        """By whoever may. Raises `ApiError` on a text that is too long, or that nobody may
        speak; that is not written down."""
        keys = await voice.keys(key_id, "tts")
        most = voice.settings.max_characters
        if len(asked.script.text) > most:
            raise ApiError(413, "too_large", f"text: more than {most} characters.", "text")
        wish = Wish("tts", asked.model, asked.prefers, speaking.needs(asked.script))
        return cls(voice, key_id, asked, voice.router.ordered(wish, keys))

    @property
    def filtered(self) -> bool:
        """The text was changed before it was spoken."""
        return self._script.text != self._asked.script.text

    async def may_be_said(self) -> None:
        """Ask the content filters, who may change the text."""
        about = About(self._key_id, language=self._script.language)
        try:
            text = await self._voice.filters.judged(self._script.text, about)
        except ApiError as error:
            self.entry.failed(error.code)
            raise
        self._script = replace(self._script, text=text)

    def within_budget(self) -> AbstractAsyncContextManager[None]:
        """While it is made. Raises `ApiError` (402) where its owner may not spend so much."""
        return self._voice.within_budget(self._key_id, self._offers, self.uses(self._offers[0]))

    def uses(self, offer: Offer) -> tuple[Use, ...]:
        """What speaking it takes."""
        return offer.speaks.uses(self._script)

    # --- kept sounds ---------------------------------------------------------------------------

    async def kept(self) -> Kept | None:
        """The same, made before, by somebody who may still be asked."""
        sounds, asked = self._voice.sounds, self._asked
        wanted = self._voice.settings.cache if asked.keep is None else asked.keep
        if sounds is None or not wanted or not asked.under.keep:
            return None
        self.entry.cache = MISS
        found = await sounds.find(self._key_id, asked.user, self._wish())
        for offer in self._offers if found else ():
            if found and offer.name == found.provider:
                self.entry.cache = HIT
                return Kept(found, offer)
        return None

    def said_again(self, kept: Kept) -> Done:
        """A kept sound is the answer."""
        self.entry.first()
        return self.entry.done(kept.offer, self.uses(kept.offer))

    def _wish(self) -> dict[str, Any]:
        """All that shapes the sound."""
        voices = dict(self._asked.under.voices)
        return {**self._asked.shaping, "text": self._script.text, "voices": voices}

    def _keep(self, body: bytes, coder: Coder, offer: Offer) -> None:
        """Keep a whole sound; not that of one who stood in for another, now or since a while."""
        sounds, router, entry = self._voice.sounds, self._voice.router, self.entry
        if sounds is None or entry.cache != MISS or len(body) > MOST_BYTES:
            return
        well = all(router.breaker(each).closed() for each in self._offers)
        if len(entry.attempts.made) > 1 or not well:
            return
        if self._asked.format == "wav":  # streamed, it does not tell its length
            body = wav.written(body[wav.USUAL_HEAD :], coder.rate_hz)
        sound = KeptSound(body, coder.media_type, coder.rate_hz, offer.name)
        sounds.put(self._key_id, self._asked.user, self._wish(), sound)

    # --- spoken now ----------------------------------------------------------------------------

    async def begun(self) -> Spoken:
        """The voice, once a sound has come from it. Close it."""
        asked, attempts = self._asked, self.entry.attempts
        with self.entry.while_asked(self.uses):
            return await speaking.speak(
                self._script, self._offers, attempts, asked.prefers, asked.file
            )

    async def whole(self) -> tuple[Spoken, bytes, Coder]:
        """All of the sound, coded, and what coded it."""
        asked, attempts = self._asked, self.entry.attempts
        with self.entry.while_asked(self.uses):
            spoken, body = await speaking.whole(
                self._script, self._offers, attempts, asked.prefers, asked.file
            )
        coder = self.coder(spoken)
        if spoken.kind == speaking.PCM:
            body, coder = await self._voice.threads.run(
                whole_file, body, spoken.rate_hz, asked.format, asked.sample_rate
            )
        self._keep(body, coder, spoken.offer)
        return spoken, body, coder

    def coder(self, spoken: Spoken) -> Coder:
        """What makes the bytes of the sound as it is wanted."""
        if spoken.kind != speaking.PCM:
            return Unchanged(spoken.kind, spoken.rate_hz)
        return Encoder(self._asked.format, spoken.rate_hz, to_hz=self._asked.sample_rate)

    async def coded(self, spoken: Spoken, coder: Coder) -> AsyncIterator[bytes]:
        """The sound's bytes as they come."""
        heavy = self._asked.format in CONTAINERS and isinstance(coder, Encoder)
        whole = bytearray()
        async for piece in spoken.pieces:
            self.entry.first()
            data = await self._voice.threads.run(coder.feed, piece) if heavy else coder.feed(piece)
            if data:
                if self.entry.cache and len(whole) <= MOST_BYTES:
                    whole += data
                yield data
        if rest := coder.finish():
            yield rest
        self._keep(bytes(whole + rest), coder, spoken.offer)
