"""One turn of a conversation: what was said is heard, answered and said aloud, as it comes.

Three kinds of work in a row, each by whoever can (`hearing.py`, `replying.py`, `saying.py`), each
written down by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import structlog

from telebot.call.errors import ApiError
from telebot.providers.clips import Recording
from telebot.providers.replies import MOST_TOKENS, Question
from telebot.voice import chat_history, replying
from telebot.voice.chat_agents import BrainReplier, ChatAgent, told
from telebot.voice.chat_history import Bound
from telebot.voice.chat_sessions import Session
from telebot.voice.done import Done
from telebot.voice.filters import About
from telebot.voice.going_on import GoingOn
from telebot.voice.hearing import ToHear, heard
from telebot.voice.offers import LOCAL, Work
from telebot.voice.preferences import ANYBODY, Preferences
from telebot.voice.replying import Asked
from telebot.voice.routing import Usual, Wish
from telebot.voice.saying import Manner, Saying
from telebot.voice.service import Voice
from telebot.voice.spoken_along import Delta, Piece, spoken_along
from telebot.voice.tailoring import PLAINLY, WHOM, Under

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """What the user says, as a recording or a text, and what is wanted of the answer. `manner` is
    None where it is only read. `keep` False: no session remembers it."""

    text: str | None = field(default=None, repr=False)
    recording: Recording | None = None
    session: str | None = None
    agent: str | None = None
    instructions: str = field(default="", repr=False)
    models: Mapping[Work, str | None] = field(default_factory=dict)
    prefers: Mapping[Work, Preferences] = field(default_factory=dict)
    most_tokens: int = MOST_TOKENS
    temperature: float | None = None
    manner: Manner | None = None
    keep: bool = True
    at_once: bool = False  # nobody reads it before its end: another model may begin again
    under: Under = PLAINLY
    user: str = ""

    def model(self, work: Work) -> str | None:
        return self.models.get(work)

    def who(self, work: Work) -> Preferences:
        return self.prefers.get(work, ANYBODY)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recording says."""

    text: str = field(repr=False)
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of a turn. `session` is None where nothing is kept; `actions` are what an agent's own
    brain asks for besides; `sound` is the answer's last bytes."""

    session: str | None
    turn: int
    transcript: str | None = field(repr=False)
    text: str = field(repr=False)
    cut: bool
    actions: list[dict[str, Any]] = field(repr=False)
    works: tuple[Done, ...]
    saying: Saying | None


@dataclass(slots=True)
class _Text:
    """What a reply comes to."""

    text: str = ""
    cut: bool = False
    provider: str = ""

    def noting(self, piece: Piece) -> Piece:
        """The same piece, its text noted."""
        if isinstance(piece, Delta):
            self.text += piece.text
        return piece


async def _alone(text: str) -> AsyncGenerator[str, None]:
    yield text


class Turn:
    """One turn on its way."""

    def __init__(
        self, voice: Voice, key_id: str, said: Said, agent: ChatAgent | None, now: datetime
    ) -> None:
        self._voice = voice
        self._key_id = key_id
        name = "" if agent is None else agent.name
        self._said = replace(said, under=replace(said.under, agent=name))
        self._agent = agent
        self._now = now
        self._works: list[Done] = []

    async def run(
        self, session: Session, bound: Bound
    ) -> AsyncGenerator[Heard | Piece | Session | Answered, None]:
        """The session as it is then comes before `Answered`."""
        said = self._said
        local = self._agent.replier(session.state, self._now) if self._agent else None
        wish = self._wish(local)
        await self._may_answer(wish)
        saying = None
        if said.manner is not None:
            saying = await self._saying(said.manner)
        transcript = None
        if said.recording is not None:
            heard_now = await self._heard(said.recording)
            transcript = heard_now.text
            yield heard_now
        text = said.text if transcript is None else transcript
        session = await self._in_short(session, bound, wish)
        asked = Asked(self._question(session, text or ""), wish, said.under)
        came = _Text()
        async with aclosing(self._answer(asked, saying, came)) as pieces:
            async for piece in pieces:
                yield piece
        step = local.step if local is not None and came.provider == LOCAL else None
        state = session.state if step is None else step.state
        answer = came.text.strip()
        after = session.after(text or "", answer, state, self._now)
        yield after
        remembered = said.keep and said.under.keep
        yield Answered(
            after.id if remembered else None,
            after.turns,
            transcript,
            answer,
            came.cut,
            told(step.actions) if step is not None else [],
            tuple(self._works),
            saying,
        )

    async def _answer(
        self, asked: Asked, saying: Saying | None, came: _Text
    ) -> AsyncGenerator[Piece, None]:
        """The reply and its sound; `came` gets what it comes to."""
        filters, about = self._voice.filters, About(self._key_id, "reply")
        try:
            if self._said.at_once:
                whole = await replying.whole(self._voice, self._key_id, asked)
                self._works.append(whole.done)
                came.cut, came.provider = whole.cut, whole.done.provider
                text = await filters.judged(whole.text, about, "reply")
                async with aclosing(spoken_along(_alone(text), saying)) as pieces:
                    async for piece in pieces:
                        yield came.noting(piece)
                return
            reply = GoingOn(self._voice, self._key_id, asked)
            try:
                async with (
                    aclosing(reply.pieces()) as words,
                    aclosing(filters.by_sentence(words, about)) as said,
                    aclosing(spoken_along(said, saying)) as pieces,
                ):
                    async for piece in pieces:
                        yield came.noting(piece)
            finally:
                self._works += reply.written
            came.cut, came.provider = reply.cut, reply.provider
        finally:
            if saying is not None:
                self._works += saying.written

    async def _heard(self, recording: Recording) -> Heard:
        said = self._said
        model, prefers, usual = said.model("stt"), said.who("stt"), self._usual("stt")
        asked = ToHear(recording, model, prefers, said.under, usual)
        found, done = await heard(self._voice, self._key_id, asked)
        self._works.append(done)
        if not found.transcript.text.strip():
            raise ApiError(422, "nothing_heard", "No words were heard.", "audio")
        return Heard(found.transcript.text, found.transcript.language)

    async def _saying(self, manner: Manner) -> Saying:
        """The voice of the answer: the agent's own where the request does not choose another."""
        said = self._said
        voices = self._agent.voices if self._agent is not None else {}
        under = replace(said.under, voices={**voices, **said.under.voices})
        manner = replace(manner, usual=self._usual("tts"))
        return await Saying.by(self._voice, self._key_id, manner, under)

    def _usual(self, work: Literal["stt", "tts"]) -> Usual:
        """Who hears and speaks for the agent, where the request does not say whom to ask."""
        chosen = self._said.model(work) is not None
        if self._agent is None or chosen or self._said.who(work).model_fields_set & WHOM:
            return None
        return (self._agent.hears if work == "stt" else self._agent.speaks) or None

    def _wish(self, local: BrainReplier | None) -> Wish:
        """Who may answer: the agent's own models, else whoever is there. Raises `ApiError`."""
        model, prefers, agent = self._said.model("llm"), self._said.who("llm"), self._agent
        needs = frozenset[str]() if self._said.temperature is None else frozenset({"temperature"})
        if agent is None:
            return Wish("llm", model, prefers, needs)
        if not agent.prompt:
            if model not in (None, LOCAL):
                raise wrong("model", f"{agent.name} has no prompt for a model, only its own brain")
            prefers = prefers.model_copy(update={"order": ()})
        if not agent.asks and model is None:
            raise wrong("agent", f"what answers for {agent.name} answers calls alone")
        return Wish("llm", model, prefers, needs, usual=agent.asks, local=local)

    async def _may_answer(self, wish: Wish) -> None:
        """Raises `ApiError` before anything is paid for."""
        work = None if wish.at_home else wish.work
        self._voice.router.ordered(wish, await self._voice.keys(self._key_id, work))

    def _question(self, session: Session, text: str) -> Question:
        said = self._said
        if self._agent is not None:
            instructions = self._agent.prompt
        else:
            spoken = chat_history.SPOKEN if said.manner is not None else ""
            instructions = "\n\n".join(filter(None, (session.instructions, spoken)))
        return chat_history.question_of(
            session,
            text,
            instructions,
            most_tokens=said.most_tokens,
            temperature=said.temperature,
        )

    async def _in_short(self, session: Session, bound: Bound, wish: Wish) -> Session:
        """With its old turns summed up, where there are too many; by a model that may answer. An
        agent's own brain needs them no more."""
        if self._agent is not None and not self._agent.prompt:
            return bound.trimmed(session)
        old = bound.old(session)
        if not old:
            return session
        usual = None if wish.usual is None else tuple(each for each in wish.usual if each != LOCAL)
        model = None if wish.model == LOCAL else wish.model
        asked = Asked(
            chat_history.summary_of(session, old),
            replace(wish, model=model, usual=usual, local=None),
            self._said.under,
        )
        try:
            summed = await replying.whole(self._voice, self._key_id, asked)
        except ApiError as error:
            log.info("chat_not_summed_up", code=error.code)
            return bound.shortened(session)
        self._works.append(summed.done)
        return bound.summed_up(session, summed.text)


def wrong(param: str, why: str) -> ApiError:
    """A parameter that cannot be as it is."""
    return ApiError(400, "invalid_parameter", f"{param}: {why}.", param)
