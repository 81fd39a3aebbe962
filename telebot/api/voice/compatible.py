"""`/v1/audio/transcriptions`, `/v1/audio/speech`, `/v1/models`: what OpenAI's SDK asks for, so that
its base URL alone makes it use this server.

https://platform.openai.com/docs/api-reference/audio . What is more here than there (`provider`,
other vendors' models) goes by `extra_body`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import EVENTS, Endpoint
from telebot.api.idempotency import TOLD, Once
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone
from telebot.api.voice.meant import meant
from telebot.api.voice.saying import spoken_to
from telebot.api.voice.shapes import Language, SynthesizeRequest, Text, TranscribeRequest
from telebot.api.voice.synthesize import TELLS
from telebot.api.voice.told import ATTEMPTED
from telebot.api.voice.transcribe import WhoAsks, recording_of, to_hear
from telebot.api.voice.transcripts import transcript_answer, usage_of
from telebot.api.voice.uploads import Form, form_of, sound_of
from telebot.audio.files import MEDIA_TYPES
from telebot.models import LazyModel
from telebot.providers.clips import Recording
from telebot.records.keys import Scope
from telebot.voice.defaults import UserId
from telebot.voice.hearing import Watch, heard
from telebot.voice.preferences import ANYBODY, Preferences
from telebot.voice.service import Voice

FAILURES = (404, 409, 415, 422, 502, 504)
Task = Literal["transcribe", "translate"]


class TranscriptionForm(LazyModel):
    """OpenAI's form, with a `file`."""

    model_config = ConfigDict(extra="ignore")

    model: Text
    language: Language | None = None
    prompt: Annotated[str, Field(max_length=4000)] = ""
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json", "diarized_json"] = "json"
    temperature: float | None = Field(None, ge=0, le=1)
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = ()
    stream: bool = False
    provider: Preferences = Field(ANYBODY, description="not OpenAI's: who may do it")
    user: UserId | None = Field(None, description="not OpenAI's: whose preferences hold")


class Segment(LazyModel):
    """A part of a transcription; which fields it has depends on `response_format`."""

    model_config = ConfigDict(extra="allow")

    id: int | str
    start: float = Field(description="seconds")
    end: float
    text: str


class HeardWord(LazyModel):
    """A word and its times in seconds."""

    word: str
    start: float
    end: float


class Transcription(LazyModel):
    """A transcription as JSON; beyond `text` and `usage` in the formats `verbose_json` and
    `diarized_json`."""

    text: str
    usage: dict[str, Any] = Field(description="`type` is `tokens` or `duration`")
    task: str | None = None
    language: str | None = None
    duration: float | None = Field(None, description="seconds")
    segments: list[Segment] | None = None
    words: list[HeardWord] | None = None


class SpeechRequest(LazyModel):
    """OpenAI's request."""

    model_config = ConfigDict(extra="ignore")

    model: Text
    input: Annotated[str, Field(min_length=1)]
    voice: Text | dict[str, Any] | None = None
    instructions: Annotated[str, Field(max_length=4000)] = ""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "mulaw", "alaw"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"
    provider: Preferences = Field(ANYBODY, description="not OpenAI's: who may do it")
    user: UserId | None = Field(None, description="not OpenAI's: whose preferences hold")
    cache: bool | None = Field(None, description="not OpenAI's: keep the sound for the next time")


class ModelRow(LazyModel):
    """A model as OpenAI lists it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelList(LazyModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelRow]


class Compatible:
    """OpenAI's endpoints on the same work."""

    def __init__(self, voice: Voice, who: WhoAsks, once: Once) -> None:
        self._voice = voice
        self._who = who
        self._once = once

    def endpoints(self) -> list[Endpoint]:
        viewer = Scope.VIEWER
        said = "A recording to text, in OpenAI's words"
        return [
            Endpoint(
                "POST",
                "/v1/audio/transcriptions",
                self.transcriptions,
                viewer,
                said,
                Transcription,
                failures=FAILURES,
                form=TranscriptionForm,
                also=("text/plain", EVENTS),
                tells=(*TELLS[:2], *ATTEMPTED),
                headers=(TOLD,),
            ),
            Endpoint(
                "POST",
                "/v1/audio/translations",
                self.translations,
                viewer,
                "A recording to English text, in OpenAI's words",
                Transcription,
                failures=FAILURES,
                form=TranscriptionForm,
                also=("text/plain", EVENTS),
                tells=(*TELLS[:2], *ATTEMPTED),
                headers=(TOLD,),
            ),
            Endpoint(
                "POST",
                "/v1/audio/speech",
                self.speech,
                viewer,
                "A text to sound, in OpenAI's words",
                MEDIA_TYPES[0],
                failures=FAILURES[:-1],
                body=SpeechRequest,
                headers=(TOLD,),
                also=(*MEDIA_TYPES[1:], EVENTS),
                tells=TELLS,
            ),
            Endpoint(
                "GET",
                "/v1/models",
                self.models,
                viewer,
                "The models that can be named, in OpenAI's words",
                ModelList,
            ),
        ]

    async def models(self, request: web.Request) -> web.Response:
        rows = {
            offer.name: ModelRow(id=offer.name, owned_by=offer.provider)
            for offer in await self._voice.ready(self._who(request))
            if offer.work != "llm"  # there is no endpoint of OpenAI's for them here
        }
        return answer(ModelList(data=list(rows.values())))

    async def speech(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(SpeechRequest)
        voice = asked.voice.get("id") if isinstance(asked.voice, dict) else asked.voice
        # the SDK sends one of OpenAI's voices because it must: it is nobody else's
        theirs = voice in VOICES_OF_THE_SDK and not self._voice.offers.is_server(
            asked.model.partition("/")[0]
        )
        wish = SynthesizeRequest(
            model=asked.model,
            text=asked.input,
            voice=None if theirs else voice,
            instructions=asked.instructions,
            events=asked.stream_format == "sse",
            **_said(asked, speed="speed", response_format="format", provider="provider"),
            user=asked.user,
            cache=asked.cache,
        )
        key_id = self._who(request)
        return await self._once.answer(
            request,
            await form.digest(request),
            lambda: spoken_to(
                request,
                self._voice,
                key_id,
                wish,
                bare=True,
                voices={"openai": str(voice)} if theirs else {},
            ),
        )

    async def translations(self, request: web.Request) -> web.StreamResponse:
        return await self._once_heard(request, "translate")

    async def transcriptions(self, request: web.Request) -> web.StreamResponse:
        return await self._once_heard(request, "transcribe")

    async def _once_heard(self, request: web.Request, task: Task) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        return await self._once.answer(
            request, await form.digest(request), lambda: self._heard(request, task, form)
        )

    async def _heard(self, request: web.Request, task: Task, form: Form) -> web.StreamResponse:
        asked = form.read(TranscriptionForm)
        wish = TranscribeRequest(
            model=asked.model,
            **_said(asked, provider="provider"),
            language=asked.language,
            user=asked.user,
            task=task,
            prompt=asked.prompt,
            words=asked.response_format in ("verbose_json", "srt", "vtt"),
            diarize=asked.response_format == "diarized_json",
        )
        wish = await meant(self._voice, self._who(request), wish, "stt")
        sound = await sound_of(request, form, self._voice)
        recording = await recording_of(self._voice, wish, sound)
        if asked.stream:
            return await unless_gone(request, self._streamed(request, wish, recording))
        found, done = await unless_gone(
            request, heard(self._voice, self._who(request), to_hear(wish, recording))
        )
        return transcript_answer(asked.response_format, found.transcript, recording, done)

    async def _streamed(
        self, request: web.Request, wish: TranscribeRequest, recording: Recording
    ) -> web.StreamResponse:
        async with Events(request) as events:
            shown = ""

            async def show(text: str) -> None:
                nonlocal shown
                if text.startswith(shown) and text != shown:
                    delta, shown = text[len(shown) :], text
                    await events.send("", {"type": "transcript.text.delta", "delta": delta})

            asked, watch = to_hear(wish, recording), Watch(show, events.begin)
            found, done = await heard(self._voice, self._who(request), asked, watch)
            text = found.transcript.text
            await show(text)
            told = {
                "type": "transcript.text.done",
                "text": text,
                "usage": usage_of(recording, done),
            }
            await events.send("", told)
        return events.response


# the names that OpenAI's SDK knows
VOICES_OF_THE_SDK = frozenset(
    {"alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
     "shimmer", "verse"}
)  # fmt: skip


def _said(asked: BaseModel, **names: str) -> dict[str, Any]:
    """The fields that were said, by our names for them."""
    return {
        ours: getattr(asked, theirs)
        for theirs, ours in names.items()
        if theirs in asked.model_fields_set
    }
