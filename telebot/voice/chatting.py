"""Conversations: who answers in them, and what is kept of them between their turns.

A turn (`chat_turn.py`) counts once its answer is whole; one that comes to nothing leaves its
session as it was. Next: `api/voice/chat.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from telebot.call.errors import ApiError
from telebot.call.ports import WallClock
from telebot.voice.chat_agents import ChatAgent
from telebot.voice.chat_history import Bound
from telebot.voice.chat_sessions import Session, Sessions, new_session_id
from telebot.voice.chat_turn import Answered, Heard, Said, Turn, wrong
from telebot.voice.offers import LOCAL
from telebot.voice.service import Voice
from telebot.voice.spoken_along import Piece


class Chat:
    """Conversations with the agents, or as a request instructs. `usual` is the agent of who names
    none."""

    def __init__(
        self,
        voice: Voice,
        sessions: Sessions,
        wall_clock: WallClock,
        *,
        agents: Mapping[str, ChatAgent] | None = None,
        usual: str = "",
    ) -> None:
        self.sessions = sessions
        self._voice = voice
        self._now = wall_clock
        self._agents = dict(agents or {})
        self._usual = usual
        self._bound = Bound(voice.settings.chat_history_characters)

    async def turn(self, key_id: str, said: Said) -> AsyncGenerator[Heard | Piece | Answered, None]:
        """What comes of it, `Answered` last. Close it to end the work. Raises `ApiError`."""
        taken = None if said.session is None else await self.sessions.take(key_id, said.session)
        kept = False
        try:
            session = self._begun(key_id, said) if taken is None else self._same(taken, said)
            turn = Turn(self._voice, key_id, said, self._agents.get(session.agent), self._now())
            async with aclosing(turn.run(session, self._bound)) as events:
                async for event in events:
                    if isinstance(event, Session):
                        if said.keep and said.under.keep:
                            kept = True
                            await self.sessions.put(event)
                    else:
                        yield event
        finally:
            if taken is not None and not kept:
                await self.sessions.give_back(taken)

    def _begun(self, key_id: str, said: Said) -> Session:
        """A new conversation. Raises `ApiError` on an agent that there is not."""
        if said.agent and said.instructions:
            raise wrong("instructions", "an agent has its own; send one of agent and instructions")
        if said.agent and said.agent not in self._agents:
            raise ApiError(404, "agent_not_found", f"No agent {said.agent!r}.", "agent")
        named = said.model("llm") not in (None, LOCAL)
        agent = said.agent or ("" if said.instructions or named else self._usual)
        now = self._now()
        return Session(new_session_id(), key_id, now, agent, said.instructions, user=said.user)

    def _same(self, session: Session, said: Said) -> Session:
        """The one that goes on. Raises `ApiError` where the request would change who answers."""
        if said.agent not in (None, session.agent):
            raise wrong("agent", "the session has another one")
        if said.instructions not in ("", session.instructions):
            raise wrong("instructions", "the session has others")
        if session.agent and session.agent not in self._agents:
            raise ApiError(404, "agent_not_found", f"No agent {session.agent!r}.", "agent")
        return session
