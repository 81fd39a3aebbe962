"""`POST /v1/voice/synthesize`: a text to sound, passed on as it is made.

Binary answers tell who spoke, and what it cost, in headers; what is only known at the end of a
stream (its length) is in the record. A stream that fails in the middle is cut off, so that nobody
takes half of it for the whole; events say so in words.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.api.calls import EVENTS, Endpoint
from telebot.api.idempotency import TOLD, Once
from telebot.api.streaming import Stream
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone, while_there
from telebot.api.voice.meant import meant
from telebot.api.voice.shapes import AttemptAnswer, SynthesizeRequest, UsageAnswer
from telebot.api.voice.transcribe import WhoAsks
from telebot.api.voice.uploads import form_of
from telebot.audio.files import CONTAINERS, MEDIA_TYPES, Encoder, Unchanged
from telebot.audio.resample import resample
from telebot.call.errors import ApiError
from telebot.providers.clips import Script, Use
from telebot.records.keys import Scope
from telebot.voice import speaking
from telebot.voice.attempts import Attempts
from telebot.voice.filters import About
from telebot.voice.offers import Offer
from telebot.voice.routing import Keys, Wish
from telebot.voice.service import Done, Voice, new_id
from telebot.voice.speaking import Spoken

PATH = "/v1/voice/synthesize"
TELLS = (
    ("x-generation-id", "names the piece of work in the records"),
    ("x-provider", "`provider/model` that speaks"),
    ("x-sample-rate", "Hz"),
    ("x-cost", "in `x-cost-currency`; absent where it is not known"),
    ("x-cost-currency", "the currency of the records"),
    ("x-content-filter", "`replaced` where the text was changed before it was spoken"),
    ("x-attempts", "how many were asked; of a whole answer alone"),
)


class Synthesize:
    """The endpoint, on the work it hands out."""

    def __init__(self, voice: Voice, who: WhoAsks, once: Once) -> None:
        self._voice = voice
        self._who = who
        self._once = once

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                PATH,
                self.synthesize,
                Scope.VIEWER,
                "A text to sound, as it is made",
                MEDIA_TYPES[0],
                failures=(404, 409, 415, 422, 502),
                body=SynthesizeRequest,
                headers=(TOLD,),
                also=(*MEDIA_TYPES[1:], EVENTS),
                tells=TELLS,
            )
        ]

    async def synthesize(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(SynthesizeRequest)
        key_id = self._who(request)
        return await self._once.answer(
            request,
            await form.digest(request),
            lambda: spoken_to(request, self._voice, key_id, asked),
        )


async def spoken_to(
    request: web.Request, voice: Voice, key_id: str, asked: SynthesizeRequest, *, bare: bool = False
) -> web.StreamResponse:
    """The sound as the answer to a request. `bare`: events without names, as OpenAI sends them.
    Raises `ApiError` as long as nothing was sent."""
    asked = await meant(voice, key_id, asked, "tts")
    job = Job(voice, key_id, asked, await voice.keys(key_id))
    await job.may_be_said()
    if not asked.stream:
        return await unless_gone(request, job.whole())
    with while_there(request):
        async with aclosing(await job.begun()) as spoken:
            if asked.events:
                return await job.as_events(request, spoken, bare=bare)
            return await job.as_bytes(request, spoken)


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
            body, encoder = await asyncio.to_thread(self._coded, sound, spoken.rate_hz)
        done = self._finish(spoken)
        headers = self._headers(spoken, encoder) | {"x-attempts": str(len(done.attempts))}
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
                    piece = base64.b64encode(data).decode()
                    told = {"type": "speech.audio.delta"} if bare else {}
                    await events.send("" if bare else "audio", {**told, "audio": piece})
                error = ""
            except ApiError as failed:
                error = failed.code
                raise
            finally:
                done = self._finish(spoken, error)
            usage = UsageAnswer.of(done)
            if bare:
                counted = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
                await events.send("", {"type": "speech.audio.done", "usage": counted})
            else:
                attempts = [AttemptAnswer.of(made).model_dump() for made in done.attempts]
                named = {"id": done.id, "provider": done.provider, "attempts": attempts}
                await events.send("done", {**named, "usage": usage.model_dump()})
        return events.response

    async def _encoded(self, spoken: Spoken, encoder: Encoder | Unchanged) -> AsyncIterator[bytes]:
        compressed = self._asked.format in CONTAINERS and isinstance(encoder, Encoder)
        async for piece in spoken.pieces:
            self._first_at = self._first_at or self._voice.clock()
            data = (
                await asyncio.to_thread(encoder.feed, piece) if compressed else encoder.feed(piece)
            )
            if data:
                yield data
        if rest := encoder.finish():
            yield rest

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
        known = {} if cost.amount is None else {"x-cost": f"{cost.amount:f}"}
        known |= {"x-content-filter": "replaced"} if self._changed else {}
        return (
            PRIVATE
            | known
            | {
                "Content-Type": encoder.media_type,
                "x-generation-id": self._id,
                "x-provider": spoken.offer.name,
                "x-sample-rate": str(encoder.rate_hz),
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
        )
