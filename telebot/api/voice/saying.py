"""One text on its way to sound: `POST /v1/voice/synthesize` and OpenAI's `/v1/audio/speech`.

Binary answers tell who spoke, and what it cost, in headers; what is only known at the end of a
stream (its length) is in the record. A stream that fails in the middle is cut off, so that nobody
takes half of it for the whole; events say so in words. A sound that was kept (`kept_sounds.py`) is
answered at once. The work is `voice/speaking.py`'s.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.api.streaming import Stream
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone, while_there
from telebot.api.voice.meant import meant
from telebot.api.voice.shapes import AttemptAnswer, SynthesizeRequest, UsageAnswer
from telebot.api.voice.told import attempts_headers
from telebot.audio import wav
from telebot.audio.files import CONTAINERS, Encoder, Unchanged
from telebot.audio.resample import resample
from telebot.call.errors import ApiError
from telebot.providers.clips import Script, Use
from telebot.voice import speaking
from telebot.voice.attempts import Attempts
from telebot.voice.filters import About
from telebot.voice.kept_sounds import MOST_BYTES, KeptSound
from telebot.voice.offers import Offer
from telebot.voice.pricing import Cost
from telebot.voice.routing import Keys, Wish
from telebot.voice.service import HIT, MISS, Done, Voice, new_id
from telebot.voice.speaking import Spoken

# with the text: what of a request shapes its sound
SHAPING = {
    "model", "provider", "voice", "language", "speed", "instructions", "format", "sample_rate"
}  # fmt: skip
NO_VOICES: Mapping[str, str] = {}
PIECE_BYTES = 32 << 10  # of a kept sound, in an event


async def spoken_to(
    request: web.Request,
    voice: Voice,
    key_id: str,
    asked: SynthesizeRequest,
    *,
    bare: bool = False,
    voices: Mapping[str, str] = NO_VOICES,
) -> web.StreamResponse:
    """The sound as the answer to a request. `bare`: events without names, as OpenAI sends them;
    `voices` are asked for of one provider each. Raises `ApiError` as long as nothing was sent."""
    asked = await meant(voice, key_id, asked, "tts")
    if voices:
        under = asked.under
        asked.chosen_under(replace(under, voices={**under.voices, **voices}))
    job = Job(voice, key_id, asked, await voice.keys(key_id, "tts"))
    await job.may_be_said()
    if kept := await job.kept():
        return await job.again(request, kept, bare=bare)
    async with job.within_budget():
        if not asked.stream:
            return await unless_gone(request, job.whole())
        with while_there(request):
            async with aclosing(await job.begun()) as spoken:
                if asked.events:
                    return await job.as_events(request, spoken, bare=bare)
                return await job.as_bytes(request, spoken)


@dataclass(frozen=True, slots=True)
class Kept:
    """A sound from before, and who spoke it."""

    sound: KeptSound
    offer: Offer


class Job:
    """One text on its way to sound."""

    def __init__(self, voice: Voice, key_id: str, asked: SynthesizeRequest, keys: Keys) -> None:
        """Raises `ApiError` on a text that is too long, or one that nobody may speak."""
        most = voice.settings.max_characters
        if len(asked.text) > most:
            raise ApiError(413, "too_large", f"text: more than {most} characters.", "text")
        self._voice = voice
        self._key_id = key_id
        self._asked = asked
        self._script = Script(
            asked.text,
            asked.voice,
            asked.language,
            asked.speed,
            asked.instructions,
            keep=asked.under.keep,
        )
        wish = Wish("tts", asked.model, asked.provider, speaking.needs(self._script))
        self._offers: list[Offer] = voice.router.ordered(wish, keys)
        self._attempts: Attempts = voice.attempts(key_id, asked.under)
        self._began = voice.clock()
        self._first_at: float | None = None
        self._changed = False  # by a content filter
        self._cache = ""  # whether a kept sound was looked for, and found
        self._id = new_id()

    async def may_be_said(self) -> None:
        """Ask the content filters, who may change the text. Raises `ApiError`."""
        about = About(self._key_id, language=self._asked.language)
        try:
            text = await self._voice.filters.judged(self._asked.text, about)
        except ApiError as error:
            self._finish(None, error.code)
            raise
        self._changed = text != self._asked.text
        self._script = replace(self._script, text=text)

    def within_budget(self) -> AbstractAsyncContextManager[None]:
        """While it is made. Raises `ApiError` (402) where its owner may not spend so much."""
        about = self._offers[0].speaks.uses(self._script)
        return self._voice.within_budget(self._key_id, self._offers, about)

    async def kept(self) -> Kept | None:
        """The same, made before, by somebody who may still be asked."""
        sounds = self._voice.sounds
        if sounds is None or not self._wants_cache():
            return None
        self._cache = MISS
        found = await sounds.find(self._key_id, self._asked.user or "", self._wish())
        for offer in self._offers if found else ():
            if found and offer.name == found.provider:
                self._cache = HIT
                return Kept(found, offer)
        return None

    def _wants_cache(self) -> bool:
        asked = self._asked.cache
        wanted = self._voice.settings.cache if asked is None else asked
        return wanted and self._asked.under.keep

    def _wish(self) -> dict[str, Any]:
        """All that shapes the sound."""
        shaping = self._asked.model_dump(mode="json", include=SHAPING)
        return shaping | {"text": self._script.text, "voices": dict(self._asked.under.voices)}

    def _keep(self, body: bytes, encoder: Encoder | Unchanged, offer: Offer) -> None:
        """Keep a whole sound; not that of one who stood in for another, now or since a while."""
        sounds, router = self._voice.sounds, self._voice.router
        if sounds is None or self._cache != MISS or len(body) > MOST_BYTES:
            return
        well = all(router.breaker(each).closed() for each in self._offers)
        if len(self._attempts.made) > 1 or not well:
            return
        if self._asked.format == "wav":  # streamed, it does not tell its length
            body = wav.written(body[wav.USUAL_HEAD :], encoder.rate_hz)
        sound = KeptSound(body, encoder.media_type, encoder.rate_hz, offer.name)
        sounds.put(self._key_id, self._asked.user or "", self._wish(), sound)

    async def again(self, request: web.Request, kept: Kept, *, bare: bool) -> web.StreamResponse:
        """A sound that was kept."""
        sound = kept.sound
        self._first_at = self._voice.clock()
        done = self._done(kept.offer, kept.offer.speaks.uses(self._script), "")
        if self._asked.stream and self._asked.events:
            async with Events(request) as events:
                for at in range(0, len(sound.body), PIECE_BYTES):
                    await self._send(events, sound.body[at : at + PIECE_BYTES], bare=bare)
                await self._send_done(events, done, bare=bare)
            return events.response
        saved = None if done.saved is None else done.saved.amount
        headers = self._told(kept.offer, done.cost, sound.media_type, sound.rate_hz)
        headers |= {} if saved is None else {"x-cost-saved": f"{saved:f}"}
        return web.Response(body=sound.body, headers=headers)

    async def begun(self) -> Spoken:
        """The voice, once a sound has come from it. Raises `ApiError`."""
        try:
            return await speaking.speak(
                self._script, self._offers, self._attempts, self._asked.provider, self._wanted
            )
        except ApiError as error:
            self._finish(None, error.code)
            raise
        except asyncio.CancelledError:
            self._cancelled()
            raise

    async def whole(self) -> web.Response:
        """All of the sound in one answer, with its length and its cost."""
        try:
            spoken, sound = await speaking.whole(
                self._script, self._offers, self._attempts, self._asked.provider, self._wanted
            )
        except ApiError as error:
            self._finish(None, error.code)
            raise
        except asyncio.CancelledError:
            self._cancelled()
            raise
        body, encoder = sound, self._encoder(spoken)
        if spoken.kind == speaking.PCM:
            body, encoder = await self._voice.threads.run(self._coded, sound, spoken.rate_hz)
        self._keep(body, encoder, spoken.offer)
        done = self._finish(spoken)
        headers = self._headers(spoken, encoder) | attempts_headers(done.attempts, done.skipped)
        return web.Response(body=body, headers=headers)

    def _coded(self, pcm16: bytes, from_hz: int) -> tuple[bytes, Encoder]:
        rate_hz = self._asked.sample_rate or from_hz
        pcm16 = resample(pcm16, from_hz, rate_hz)
        encoder = Encoder(self._asked.format, rate_hz, pcm_bytes=len(pcm16))
        return encoder.feed(pcm16) + encoder.finish(), encoder

    async def as_bytes(self, request: web.Request, spoken: Spoken) -> web.StreamResponse:
        """Each piece as it comes."""
        encoder = self._encoder(spoken)
        response = Stream(request, self._headers(spoken, encoder))
        error = "cancelled"
        try:
            async for data in self._encoded(spoken, encoder):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(data)
            error = ""
        except ApiError as failed:
            error = failed.code
            if not response.prepared:
                raise
            return response
        finally:
            self._finish(spoken, error)
            if error and response.prepared:
                response.cut()
        await response.write_eof()
        return response

    async def as_events(
        self, request: web.Request, spoken: Spoken, *, bare: bool
    ) -> web.StreamResponse:
        """``audio`` events in base64, then ``done`` with usage; in OpenAI's words where `bare`."""
        encoder = self._encoder(spoken)
        async with Events(request) as events:
            error = "cancelled"
            try:
                await events.begin()
                async for data in self._encoded(spoken, encoder):
                    await self._send(events, data, bare=bare)
                error = ""
            except ApiError as failed:
                error = failed.code
                raise
            finally:
                done = self._finish(spoken, error)
            await self._send_done(events, done, bare=bare)
        return events.response

    @staticmethod
    async def _send(events: Events, data: bytes, *, bare: bool) -> None:
        piece = base64.b64encode(data).decode()
        told = {"type": "speech.audio.delta"} if bare else {}
        await events.send("" if bare else "audio", {**told, "audio": piece})

    async def _send_done(self, events: Events, done: Done, *, bare: bool) -> None:
        if bare:
            counted = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            await events.send("", {"type": "speech.audio.done", "usage": counted})
            return
        attempts = [AttemptAnswer.of(made).model_dump() for made in done.attempts]
        named = {"id": done.id, "provider": done.provider, "attempts": attempts}
        named |= {"skipped": [one.told() for one in done.skipped]}
        named |= {"cache": self._cache} if self._cache else {}
        await events.send("done", {**named, "usage": UsageAnswer.of(done).model_dump()})

    async def _encoded(self, spoken: Spoken, encoder: Encoder | Unchanged) -> AsyncIterator[bytes]:
        compressed = self._asked.format in CONTAINERS and isinstance(encoder, Encoder)
        whole = bytearray()
        async for piece in spoken.pieces:
            self._first_at = self._first_at or self._voice.clock()
            data = (
                await self._voice.threads.run(encoder.feed, piece)
                if compressed
                else encoder.feed(piece)
            )
            if data:
                if self._cache and len(whole) <= MOST_BYTES:
                    whole += data
                yield data
        if rest := encoder.finish():
            yield rest
        self._keep(bytes(whole + rest), encoder, spoken.offer)

    @property
    def _wanted(self) -> str:
        """The format that a voice's own file may have, to be passed on as it is."""
        return self._asked.format if self._asked.sample_rate is None else speaking.PCM

    def _encoder(self, spoken: Spoken) -> Encoder | Unchanged:
        if spoken.kind != speaking.PCM:
            return Unchanged(spoken.kind, spoken.rate_hz)
        return Encoder(self._asked.format, spoken.rate_hz, to_hz=self._asked.sample_rate)

    def _headers(self, spoken: Spoken, encoder: Encoder | Unchanged) -> dict[str, str]:
        cost = self._voice.cost(spoken.offer, spoken.uses)
        attempts = self._attempts
        told = self._told(spoken.offer, cost, encoder.media_type, encoder.rate_hz)
        return told | attempts_headers(attempts.made, attempts.skipped)

    def _told(self, offer: Offer, cost: Cost, media_type: str, rate_hz: int) -> dict[str, str]:
        known = {} if cost.amount is None else {"x-cost": f"{cost.amount:f}"}
        known |= {"x-content-filter": "replaced"} if self._changed else {}
        known |= {"x-cache": self._cache} if self._cache else {}
        return (
            PRIVATE
            | known
            | {
                "Content-Type": media_type,
                "x-generation-id": self._id,
                "x-provider": offer.name,
                "x-sample-rate": str(rate_hz),
                "x-cost-currency": cost.currency,
            }
        )

    def _cancelled(self) -> None:
        """Who asked has gone; it costs all the same."""
        offer = self._attempts.asking
        self._done(offer, offer.speaks.uses(self._script) if offer else (), "cancelled")

    def _finish(self, spoken: Spoken | None, error: str = "") -> Done:
        return self._done(spoken.offer if spoken else None, spoken.uses if spoken else (), error)

    def _done(self, offer: Offer | None, uses: tuple[Use, ...], error: str) -> Done:
        return self._voice.finish(
            "tts",
            self._key_id,
            self._began,
            self._attempts,
            offer=offer,
            uses=uses,
            first_at=self._first_at,
            error=error,
            id=self._id,
            cache="" if error else self._cache,
        )
