"""`POST /v1/voice/transcribe`: a recording to text, whole or while it grows."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from telebot.api.answers import answer
from telebot.api.calls import EVENTS, Endpoint
from telebot.api.idempotency import TOLD, Once
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone
from telebot.api.voice.meant import meant
from telebot.api.voice.shapes import TranscribeAnswer, TranscribeRequest
from telebot.api.voice.uploads import Form, form_of, sound_of
from telebot.audio.cleaning import denoised, normalised
from telebot.providers.clips import Recording, Sound
from telebot.records.keys import Scope
from telebot.voice.hearing import ToHear, Watch, heard
from telebot.voice.service import Voice

PATH = "/v1/voice/transcribe"
WhoAsks = Callable[[web.Request], str]  # the id of the request's API key


class Transcribe:
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
                self.transcribe,
                Scope.VIEWER,
                "A recording to text",
                TranscribeAnswer,
                failures=(404, 409, 415, 422, 502, 504),
                body=TranscribeRequest,
                headers=(TOLD,),
                form=TranscribeRequest,
                also=(EVENTS,),
            )
        ]

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(TranscribeRequest)
        return await self._once.answer(
            request, await form.digest(request), lambda: self._heard(request, asked, form)
        )

    async def _heard(
        self, request: web.Request, asked: TranscribeRequest, form: Form
    ) -> web.StreamResponse:
        asked = await meant(self._voice, self._who(request), asked, "stt")
        sound = await sound_of(
            request,
            form,
            self._voice,
            audio=asked.audio,
            url=asked.url,
            media_type=asked.media_type,
        )
        recording = await recording_of(self._voice, asked, sound)
        if asked.stream:
            return await unless_gone(request, self._streamed(request, asked, recording))
        found, done = await unless_gone(
            request, heard(self._voice, self._who(request), to_hear(asked, recording))
        )
        return answer(TranscribeAnswer.of(found.transcript, sound.seconds, done))

    async def _streamed(
        self, request: web.Request, asked: TranscribeRequest, recording: Recording
    ) -> web.StreamResponse:
        """``partial`` events with the text so far, then ``done`` with the answer, or ``error``."""
        async with Events(request) as events:

            async def show(text: str) -> None:
                await events.send("partial", {"text": text})

            watch = Watch(show, events.begin)
            wish = to_hear(asked, recording)
            found, done = await heard(self._voice, self._who(request), wish, watch)
            told = TranscribeAnswer.of(found.transcript, recording.sound.seconds, done)
            await events.send("done", told.model_dump())
        return events.response


async def recording_of(voice: Voice, asked: TranscribeRequest, sound: Sound) -> Recording:
    """The recording as it is to be heard."""
    pcm16 = sound.pcm16
    if asked.denoise:
        pcm16 = await voice.threads.run(denoised, pcm16, sound.rate_hz)
    if asked.normalize:
        pcm16 = await voice.threads.run(normalised, pcm16)
    return Recording(
        Sound(pcm16, sound.rate_hz),
        asked.language,
        asked.task,
        asked.words,
        asked.diarize,
        asked.prompt,
    )


def to_hear(asked: TranscribeRequest, recording: Recording) -> ToHear:
    """A recording, as the request wants it heard."""
    return ToHear(recording, asked.model, asked.provider, asked.under)
