"""One text to sound, as an answer to a request: `POST /v1/voice/synthesize` and OpenAI's
`/v1/audio/speech`.

Binary answers tell who spoke, and what it cost, in headers; what is only known at the end of a
stream (its length) is in the record. A stream that fails in the middle is cut off, so that nobody
takes half of it for the whole; events say so in words. A sound that was kept is answered at once.
The work is `voice/synthesis.py`'s.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.api.streaming import Stream
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone, while_there
from telebot.api.voice.meant import meant
from telebot.api.voice.shapes import AttemptAnswer, SynthesizeRequest, UsageAnswer
from telebot.api.voice.told import attempts_headers
from telebot.call.errors import ApiError
from telebot.providers.clips import Script
from telebot.voice.books import CANCELLED
from telebot.voice.done import Done
from telebot.voice.offers import Offer
from telebot.voice.pricing import Cost
from telebot.voice.service import Voice
from telebot.voice.speaking import Spoken
from telebot.voice.synthesis import Coder, Kept, Synthesis, ToSpeak

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
    synthesis = await Synthesis.of(voice, key_id, to_speak(asked))
    await synthesis.may_be_said()
    answer = SoundAnswer(request, voice, synthesis, Words(bare=bare))
    if kept := await synthesis.kept():
        return await answer.again(kept, events=asked.stream and asked.events)
    async with synthesis.within_budget():
        if not asked.stream:
            return await unless_gone(request, answer.whole())
        with while_there(request):
            async with aclosing(await synthesis.begun()) as spoken:
                if asked.events:
                    return await answer.as_events(spoken)
                return await answer.as_bytes(spoken)


def to_speak(asked: SynthesizeRequest) -> ToSpeak:
    """A text, as the request wants it spoken."""
    script = Script(
        asked.text,
        asked.voice,
        asked.language,
        asked.speed,
        asked.instructions,
        keep=asked.under.keep,
    )
    return ToSpeak(
        script,
        asked.model,
        asked.provider,
        asked.format,
        asked.sample_rate,
        asked.under,
        asked.user or "",
        asked.cache,
        asked.model_dump(mode="json", include=SHAPING),
    )


class Words:
    """The events that carry a sound: ``audio`` in base64, then ``done`` with usage; `bare` in
    OpenAI's words, without names."""

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    async def piece(self, events: Events, data: bytes) -> None:
        """More of the sound."""
        audio = base64.b64encode(data).decode()
        if self._bare:
            await events.send("", {"type": "speech.audio.delta", "audio": audio})
        else:
            await events.send("audio", {"audio": audio})

    async def end(self, events: Events, done: Done, cache: str) -> None:
        """All of it was sent."""
        if self._bare:
            counted = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            await events.send("", {"type": "speech.audio.done", "usage": counted})
            return
        attempts = [AttemptAnswer.of(made).model_dump() for made in done.attempts]
        named = {"id": done.id, "provider": done.provider, "attempts": attempts}
        named |= {"skipped": [one.told() for one in done.skipped]}
        named |= {"cache": cache} if cache else {}
        await events.send("done", {**named, "usage": UsageAnswer.of(done).model_dump()})


class SoundAnswer:
    """One sound's way to whoever asked."""

    def __init__(
        self, request: web.Request, voice: Voice, synthesis: Synthesis, words: Words
    ) -> None:
        self._request = request
        self._voice = voice
        self._synthesis = synthesis
        self._entry = synthesis.entry
        self._words = words

    async def again(self, kept: Kept, *, events: bool) -> web.StreamResponse:
        """A sound that was kept."""
        sound, done = kept.sound, self._synthesis.said_again(kept)
        if events:
            async with Events(self._request) as sent:
                for at in range(0, len(sound.body), PIECE_BYTES):
                    await self._words.piece(sent, sound.body[at : at + PIECE_BYTES])
                await self._words.end(sent, done, self._entry.cache)
            return sent.response
        saved = None if done.saved is None else done.saved.amount
        headers = self._told(kept.offer, done.cost, sound.media_type, sound.rate_hz)
        headers |= {} if saved is None else {"x-cost-saved": f"{saved:f}"}
        return web.Response(body=sound.body, headers=headers)

    async def whole(self) -> web.Response:
        """All of the sound in one answer, with its length and its cost."""
        spoken, body, coder = await self._synthesis.whole()
        done = self._entry.done(spoken.offer, spoken.uses)
        headers = self._headers(spoken, coder) | attempts_headers(done.attempts, done.skipped)
        return web.Response(body=body, headers=headers)

    async def as_bytes(self, spoken: Spoken) -> web.StreamResponse:
        """Each piece as it comes."""
        coder = self._synthesis.coder(spoken)
        response = Stream(self._request, self._headers(spoken, coder))
        error = CANCELLED
        try:
            async for data in self._synthesis.coded(spoken, coder):
                if not response.prepared:
                    await response.prepare(self._request)
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

    async def as_events(self, spoken: Spoken) -> web.StreamResponse:
        """Each piece as it comes, in events."""
        coder = self._synthesis.coder(spoken)
        async with Events(self._request) as events:
            error = CANCELLED
            try:
                await events.begin()
                async for data in self._synthesis.coded(spoken, coder):
                    await self._words.piece(events, data)
                error = ""
            except ApiError as failed:
                error = failed.code
                raise
            finally:
                done = self._finish(spoken, error)
            await self._words.end(events, done, self._entry.cache)
        return events.response

    def _finish(self, spoken: Spoken, error: str) -> Done:
        if error:
            return self._entry.failed(error, spoken.offer, spoken.uses)
        return self._entry.done(spoken.offer, spoken.uses)

    def _headers(self, spoken: Spoken, coder: Coder) -> dict[str, str]:
        cost = self._voice.cost(spoken.offer, spoken.uses)
        attempts = self._entry.attempts
        told = self._told(spoken.offer, cost, coder.media_type, coder.rate_hz)
        return told | attempts_headers(attempts.made, attempts.skipped)

    def _told(self, offer: Offer, cost: Cost, media_type: str, rate_hz: int) -> dict[str, str]:
        known = {} if cost.amount is None else {"x-cost": f"{cost.amount:f}"}
        known |= {"x-content-filter": "replaced"} if self._synthesis.filtered else {}
        known |= {"x-cache": self._entry.cache} if self._entry.cache else {}
        return (
            PRIVATE
            | known
            | {
                "Content-Type": media_type,
                "x-generation-id": self._entry.id,
                "x-provider": offer.name,
                "x-sample-rate": str(rate_hz),
                "x-cost-currency": cost.currency,
            }
        )
