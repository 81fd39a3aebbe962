"""`POST /v1/voice/chat`: a turn of a conversation, spoken or written, answered in words and sound;
whole, or as it comes (`transcript`, `delta`, `audio`, then `done` or `error`)."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from telebot.api.answers import answer
from telebot.api.calls import EVENTS, Endpoint
from telebot.api.idempotency import TOLD
from telebot.api.voice.chat_shapes import (
    ChatAnswer,
    ChatRequest,
    SessionPage,
    SessionRow,
)
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone
from telebot.api.voice.transcribe import WhoAsks
from telebot.api.voice.turns import InTurn
from telebot.api.voice.uploads import Form, form_of, sound_of
from telebot.audio.files import whole_file
from telebot.call.errors import ApiError
from telebot.providers.clips import Recording, Script
from telebot.records.keys import Scope
from telebot.voice.chat_turn import Answered, Heard, Said
from telebot.voice.chatting import Chat
from telebot.voice.offers import WORKS
from telebot.voice.saying import Manner
from telebot.voice.service import Voice
from telebot.voice.spoken_along import Delta, Piece, Sound
from telebot.voice.tailoring import said_in

PATH = "/v1/voice/chat"
Turn = AsyncGenerator[Heard | Piece | Answered, None]


class ChatApi:
    """The endpoints, on the conversations."""

    def __init__(self, voice: Voice, chat: Chat, who: WhoAsks) -> None:
        self._voice = voice
        self._chat = chat
        self._who = who
        self._once = InTurn(voice, who)

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                PATH,
                self.chat,
                Scope.VIEWER,
                "A turn of a conversation, spoken or written",
                ChatAnswer,
                failures=(404, 409, 415, 422, 502, 504),
                body=ChatRequest,
                headers=(TOLD,),
                form=ChatRequest,
                also=(EVENTS,),
            ),
            Endpoint(
                "GET",
                f"{PATH}/sessions",
                self.sessions,
                Scope.VIEWER,
                "One's own conversations that can go on",
                SessionPage,
            ),
            Endpoint(
                "DELETE",
                f"{PATH}/{{session}}",
                self.forget,
                Scope.VIEWER,
                "Forget a conversation",
                None,
                failures=(404,),
            ),
        ]

    async def sessions(self, request: web.Request) -> web.Response:
        rows = [
            SessionRow(
                id=session.id,
                agent=session.agent or None,
                turns=session.turns,
                characters=session.characters,
                summed_up=bool(session.summary),
                created_at=session.created_at,
                used_at=session.used_at,
                expires_in_s=round(max(0.0, left_s), 1),
            )
            for session, left_s in await self._chat.sessions.all(self._who(request))
        ]
        return answer(SessionPage(data=rows))

    async def forget(self, request: web.Request) -> web.Response:
        if not await self._chat.sessions.drop(self._who(request), request.match_info["session"]):
            raise ApiError(404, "session_not_found", "There is no such session.", "session")
        return web.Response(status=204)

    async def forget_user(self, owner: str, user: str) -> int:
        """Forget all conversations of an owner's user; how many they were."""
        return await self._chat.sessions.forget(owner, user)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(ChatRequest)
        return await self._once.answer(
            request, await form.digest(request), lambda: self._answered(request, asked, form)
        )

    async def _answered(
        self, request: web.Request, asked: ChatRequest, form: Form
    ) -> web.StreamResponse:
        began, owner = self._voice.clock(), self._who(request)
        fields = frozenset(ChatRequest.model_fields)
        chosen = await self._voice.tailor.chosen(owner, asked.user, WORKS, said_in(asked), fields)
        asked = asked.tailored(chosen)
        turn = self._chat.turn(owner, await self._said(request, asked, form))
        if asked.stream:
            return await _Streamed(request, self._voice, asked, began).send(turn)
        return await unless_gone(request, self._whole(asked, turn, began))

    async def _said(self, request: web.Request, asked: ChatRequest, form: Form) -> Said:
        """The request as the work wants it. Raises `ApiError`."""
        recording = None
        sent = bool(form.file or asked.audio or asked.url)
        if sent == (asked.text is not None):
            message = "Send one of text, file, audio and url."
            raise ApiError(400, "invalid_parameter", message, "text")
        if sent:
            sound = await sound_of(
                request,
                form,
                self._voice,
                audio=asked.audio,
                url=asked.url,
                media_type=asked.media_type,
            )
            recording = Recording(sound, asked.language)
        return Said(
            asked.text,
            recording,
            asked.session,
            asked.agent,
            asked.instructions,
            {work: asked.named(work) for work in WORKS},
            {work: asked.who(work) for work in WORKS},
            asked.max_tokens,
            asked.temperature,
            None if asked.answer == "text" else _manner(asked),
            keep=asked.store,
            at_once=not asked.stream,
            under=asked.under,
            user=asked.user or "",
        )

    async def _whole(self, asked: ChatRequest, turn: Turn, began: float) -> web.Response:
        sound = bytearray()
        end: Answered | None = None
        async with aclosing(turn) as events:
            async for event in events:
                if isinstance(event, Sound):
                    sound += event.data
                elif isinstance(event, Answered):
                    end = event
        if end is None:
            raise ApiError(500, "internal_server_error", "The turn has no end.")
        told = ChatAnswer.of(end, self._ms(began), self._voice.books.currency)
        if end.saying is not None and end.saying.encoder is not None:
            from_hz = end.saying.encoder.rate_hz
            file, coder = await self._voice.threads.run(
                whole_file, bytes(sound), from_hz, asked.format, asked.sample_rate
            )
            told = told.with_sound(file, coder.media_type, coder.rate_hz)
        return answer(told)

    def _ms(self, began: float) -> float:
        return (self._voice.clock() - began) * 1000


class _Streamed:
    """A turn as events."""

    def __init__(
        self, request: web.Request, voice: Voice, asked: ChatRequest, began: float
    ) -> None:
        self._request = request
        self._voice = voice
        self._asked = asked
        self._began = began

    async def send(self, turn: Turn) -> web.StreamResponse:
        """All of it. Who goes away ends the work, also where nothing is to be sent yet."""
        async with Events(self._request) as events:
            await unless_gone(self._request, self._all(turn, events))
        return events.response

    async def _all(self, turn: Turn, events: Events) -> None:
        async with aclosing(turn) as pieces:
            async for piece in pieces:
                match piece:
                    case Heard():
                        told = {"text": piece.text, "language": piece.language}
                        await events.send("transcript", told)
                    case Delta() if self._asked.answer != "audio":
                        await events.send("delta", {"text": piece.text})
                    case Sound():
                        data = base64.b64encode(piece.data).decode()
                        await events.send("audio", {"audio": data})
                    case Answered():
                        ms = (self._voice.clock() - self._began) * 1000
                        done = ChatAnswer.of(piece, ms, self._voice.books.currency)
                        await events.send("done", done.model_dump())


def _manner(asked: ChatRequest) -> Manner:
    """How the answer is said. Where it is wanted whole it is made a file at the end, whose length
    is known then."""
    script = Script(
        "", asked.voice, asked.language, asked.speed, asked.style, keep=asked.under.keep
    )
    if not asked.stream:
        return Manner(script, asked.named("tts"), asked.who("tts"), "pcm", at_once=True)
    return Manner(script, asked.named("tts"), asked.who("tts"), asked.format, asked.sample_rate)
