"""`POST /v1/voice/synthesize`: a text to sound, passed on as it is made (`saying.py`)."""

from __future__ import annotations

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import EVENTS, Endpoint
from telebot.api.idempotency import TOLD, Once
from telebot.api.query import parsed
from telebot.api.voice.saying import spoken_to
from telebot.api.voice.shapes import SynthesizeRequest
from telebot.api.voice.told import ATTEMPTED
from telebot.api.voice.transcribe import WhoAsks
from telebot.api.voice.uploads import form_of
from telebot.audio.files import MEDIA_TYPES
from telebot.models import LazyModel
from telebot.records.keys import Scope
from telebot.voice.defaults import UserId
from telebot.voice.service import Voice

PATH = "/v1/voice/synthesize"
TELLS = (
    ("x-generation-id", "names the piece of work in the records"),
    ("x-provider", "`provider/model` that speaks"),
    ("x-sample-rate", "Hz"),
    ("x-cost", "in `x-cost-currency`; absent where it is not known"),
    ("x-cost-currency", "the currency of the records"),
    ("x-cache", "`hit` or `miss`, where a kept sound was looked for"),
    ("x-cost-saved", "what a kept sound would have cost"),
    ("x-content-filter", "`replaced` where the text was changed before it was spoken"),
    *ATTEMPTED,
)


class UserQuery(LazyModel):
    """Whose sounds."""

    model_config = ConfigDict(extra="forbid")

    user: UserId | None = Field(None, description="of this user alone; else of all of them")


class ForgottenAnswer(LazyModel):
    """How many sounds were kept, and are no longer."""

    forgotten: int


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
            ),
            Endpoint(
                "DELETE",
                "/v1/voice/cache",
                self.forget,
                Scope.VIEWER,
                "Keep none of one's own sounds any longer",
                ForgottenAnswer,
                UserQuery,
            ),
        ]

    async def forget(self, request: web.Request) -> web.Response:
        user, sounds = parsed(UserQuery, request).user, self._voice.sounds
        many = 0 if sounds is None else await sounds.forget(self._who(request), user)
        return answer(ForgottenAnswer(forgotten=many))

    async def synthesize(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(SynthesizeRequest)
        key_id = self._who(request)
        return await self._once.answer(
            request,
            await form.digest(request),
            lambda: spoken_to(request, self._voice, key_id, asked),
        )
