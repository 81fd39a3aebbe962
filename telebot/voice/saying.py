"""A text that is still growing, said aloud sentence by sentence: the first is heard while the last
is not yet written.

One sound in one voice as long as its provider can; where it fails before a sentence has begun, the
next provider says that sentence and the rest. Written down once for each provider. Next:
`speaking.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from telebot.audio.files import CONTAINERS, Encoder
from telebot.audio.resample import resample
from telebot.call.errors import ApiError
from telebot.providers.clips import Script, Use, characters
from telebot.voice import speaking
from telebot.voice.attempts import Attempt, Attempts
from telebot.voice.books import CANCELLED, Entry
from telebot.voice.done import Done
from telebot.voice.offers import Offer
from telebot.voice.preferences import Preferences
from telebot.voice.routing import Usual, Wish
from telebot.voice.service import Voice
from telebot.voice.speaking import Spoken
from telebot.voice.tailoring import PLAINLY, Under


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is said, and as which kind of sound. `script` has no text yet."""

    script: Script
    model: str | None
    prefers: Preferences
    format: str
    sample_rate: int | None = None
    at_once: bool = False  # nobody hears it before its end
    usual: Usual = None  # who speaks where nobody is named


class Saying:
    """One sound. `write_down` at its end, whatever came of it; `written` are the records then."""

    def __init__(
        self,
        voice: Voice,
        key_id: str,
        manner: Manner,
        offers: list[Offer],
        under: Under = PLAINLY,
    ) -> None:
        self._voice = voice
        self._key_id = key_id
        self._manner = manner
        self._offers = offers
        self._under = under
        self._entry: Entry | None = None  # once a sentence has come; of all sentences
        self._used: dict[tuple[str, bool], tuple[Offer, tuple[Use, ...]]] = {}
        self.written: tuple[Done, ...] = ()
        self._error = ""
        self._encoder: Encoder | None = None
        self._from_hz = 0

    @classmethod
    async def by(cls, voice: Voice, key_id: str, manner: Manner, under: Under = PLAINLY) -> Saying:
        """By whoever may. Raises `ApiError` where nobody may."""
        wish = Wish(
            "tts",
            manner.model,
            manner.prefers,
            speaking.needs(manner.script),
            usual=manner.usual,
        )
        offers = voice.router.ordered(wish, await voice.keys(key_id, "tts"))
        return cls(voice, key_id, manner, offers, under)

    @property
    def encoder(self) -> Encoder | None:
        """What makes the sound's bytes; None before the first."""
        return self._encoder

    async def sentence(self, text: str) -> AsyncGenerator[bytes, None]:
        """The bytes of the next sentence. Raises `ApiError`."""
        self._entry = entry = self._entry or self._voice.entry("tts", self._key_id, self._under)
        script = replace(self._manner.script, text=text)
        attempts = self._voice.attempts(self._key_id, self._under)
        about = characters(script)
        try:
            async with (
                self._voice.within_budget(self._key_id, self._offers, about),
                aclosing(self._pcm16(script, attempts)) as pieces,
            ):
                async for pcm16, rate_hz in pieces:
                    entry.first()
                    if data := await self._encoded(pcm16, rate_hz):
                        yield data
        except ApiError as error:
            self._error = error.code
            raise
        finally:
            entry.attempts.made = _in_short([*entry.attempts.made, *attempts.made])
            entry.attempts.skipped = entry.attempts.skipped or attempts.skipped
            entry.attempts.asking = attempts.asking

    async def _pcm16(
        self, script: Script, attempts: Attempts
    ) -> AsyncGenerator[tuple[bytes, int], None]:
        """As it comes, with its rate; or at once, and then by another one where one breaks off."""
        prefers = self._manner.prefers
        if self._manner.at_once:
            spoken, pcm16 = await speaking.whole(script, self._offers, attempts, prefers)
            self._goes_on_with(spoken)
            yield pcm16, spoken.rate_hz
            return
        spoken = await speaking.speak(script, self._offers, attempts, prefers)
        self._goes_on_with(spoken)
        async with aclosing(spoken):
            async for piece in spoken.pieces:
                yield piece, spoken.rate_hz

    async def finish(self) -> bytes:
        """The last bytes of the sound."""
        if self._encoder is None:
            return b""
        return await self._voice.threads.run(self._encoder.finish)

    def write_down(self, *, cancelled: bool) -> None:
        """At its end; nothing where no sentence came. Idempotent."""
        entry = self._entry
        if entry is None or self.written:
            return
        error = self._error or (CANCELLED if cancelled else "")
        if not self._used:
            asked = entry.attempts.asking if error == CANCELLED else None
            self.written = (entry.failed(error, asked),)
            return
        self.written = tuple(
            each.failed(error, offer, uses) if error else each.done(offer, uses)
            for offer, uses in self._used.values()
            for each in (entry.another(),)
        )

    def _goes_on_with(self, spoken: Spoken) -> None:
        """Who has spoken is billed, and goes first from now on: one voice as long as it lasts."""
        self._count(spoken.offer, spoken.uses)
        at = next(at for at, each in enumerate(self._offers) if each is spoken.offer)
        self._offers = [*self._offers[at:], *self._offers[:at]]

    def _count(self, offer: Offer, uses: tuple[Use, ...]) -> None:
        who = (offer.name, offer.own_key)
        _, before = self._used.get(who, (offer, ()))
        sums = {use.unit: use.quantity for use in before}
        for use in uses:
            sums[use.unit] = sums.get(use.unit, 0.0) + use.quantity
        self._used[who] = (offer, tuple(Use(many, unit) for unit, many in sums.items()))

    async def _encoded(self, pcm16: bytes, rate_hz: int) -> bytes:
        if self._encoder is None:
            self._from_hz = rate_hz
            self._encoder = Encoder(self._manner.format, rate_hz, to_hz=self._manner.sample_rate)
        encoder, from_hz = self._encoder, self._from_hz

        def encode() -> bytes:
            at_once = resample(pcm16, rate_hz, from_hz)
            return encoder.feed(at_once)

        heavy = self._manner.format in CONTAINERS or rate_hz != from_hz
        return await self._voice.threads.run(encode) if heavy else encoder.feed(pcm16)


def _in_short(made: list[Attempt]) -> list[Attempt]:
    """The failures, and the last one that could: of the same provider once."""
    failed = [each for each in made if each.cause is not None]
    could = {each.provider: each for each in made if each.cause is None}
    return [*failed, *could.values()]
