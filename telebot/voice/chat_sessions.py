"""The conversations of chats, between their turns: whose they are, what was said, until when.

Kept in the memory of this process; what keeps them is a small Protocol, so that several processes
can share them one day. A session is a value that can be written down: a turn takes it out, and puts
back what has become of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from telebot.call.errors import ApiError
from telebot.call.ports import Clock
from telebot.dialog.state import DialogState
from telebot.providers.replies import Message


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. `agent` is empty where `instructions` stand instead; `said` are the turns
    as they were, `summary` what came before them; `state` is the agent's own brain's."""

    id: str
    owner: str
    created_at: datetime
    agent: str = ""
    instructions: str = field(default="", repr=False)
    said: tuple[Message, ...] = field(default=(), repr=False)
    summary: str = field(default="", repr=False)
    state: DialogState | None = field(default=None, repr=False)
    turns: int = 0
    used_at: datetime | None = None
    user: str = ""  # of the owner's, who began it

    @property
    def characters(self) -> int:
        """How much is kept of it."""
        return len(self.summary) + sum(len(each.text) for each in self.said)

    def after(self, said: str, answered: str, state: DialogState | None, now: datetime) -> Session:
        """With one turn more."""
        turn = (Message("user", said), Message("assistant", answered))
        return replace(
            self, said=(*self.said, *turn), state=state, turns=self.turns + 1, used_at=now
        )


class Sessions(Protocol):
    """Where they are kept. Each is its owner's alone: to everybody else it is not there."""

    async def take(self, owner: str, id: str) -> Session:
        """For one turn, until `put` or `give_back`. Raises `ApiError`: there is none (404), a turn
        of it is under way (409)."""
        ...

    async def put(self, session: Session) -> None:
        """Keep what has become of it, or a new one."""
        ...

    async def give_back(self, session: Session) -> None:
        """The turn came to nothing: it stays as it was."""
        ...

    async def drop(self, owner: str, id: str) -> bool:
        """Forget it; whether there was one. A turn that is under way leaves nothing behind."""
        ...

    async def forget(self, owner: str, user: str) -> int:
        """Forget all that one of an owner's users began; how many they were."""
        ...

    async def all(self, owner: str) -> list[tuple[Session, float]]:
        """An owner's, the last used first, with the seconds that each has left."""
        ...


@dataclass(slots=True)
class _Kept:
    session: Session
    used: float
    taken: bool = False


class MemorySessions:
    """In this process. One that is not used for `idle_s` is forgotten. Where there are too many,
    an owner's least recently used gives way to a new one: of the owner's own, at most `per_owner`,
    and of whoever has the most of them, at most `most` in all."""

    def __init__(self, clock: Clock, *, idle_s: float, per_owner: int, most: int) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._per_owner = per_owner
        self._most = most
        self._owners: dict[str, OrderedDict[str, _Kept]] = {}  # the last used last

    async def take(self, owner: str, id: str) -> Session:
        self._forget_idle()
        kept = self._owners.get(owner, OrderedDict()).get(id)
        if kept is None:
            raise no_session()
        if kept.taken:
            raise ApiError(
                409, "session_busy", "A turn of this session is under way.", "session",
                retry_after_s=1.0,
            )  # fmt: skip
        kept.taken, kept.used = True, self._clock()
        self._owners[owner].move_to_end(id)
        return kept.session

    async def put(self, session: Session) -> None:
        self._forget_idle()
        owned = self._owners.setdefault(session.owner, OrderedDict())
        if session.turns > 1 and session.id not in owned:
            self._tidy(session.owner)
            return  # deleted meanwhile
        owned[session.id] = _Kept(session, self._clock())
        owned.move_to_end(session.id)
        if len(owned) > self._per_owner:
            self._give_way(session.owner, session.id)
        if sum(map(len, self._owners.values())) > self._most:
            most = max(self._owners, key=lambda owner: len(self._owners[owner]))
            self._give_way(most, session.id)

    async def give_back(self, session: Session) -> None:
        kept = self._owners.get(session.owner, OrderedDict()).get(session.id)
        if kept is not None:
            kept.taken = False

    async def drop(self, owner: str, id: str) -> bool:
        self._forget_idle()
        found = self._owners.get(owner, OrderedDict()).pop(id, None) is not None
        self._tidy(owner)
        return found

    async def forget(self, owner: str, user: str) -> int:
        owned = self._owners.get(owner, OrderedDict())
        theirs = [id for id, kept in owned.items() if kept.session.user == user]
        for id in theirs:
            await self.drop(owner, id)
        return len(theirs)

    async def all(self, owner: str) -> list[tuple[Session, float]]:
        self._forget_idle()
        now = self._clock()
        owned = self._owners.get(owner, OrderedDict())
        return [(kept.session, kept.used + self._idle_s - now) for kept in reversed(owned.values())]

    def _give_way(self, owner: str, new: str) -> None:
        """The least recently used of an owner; one in use, or the new one, only if need be."""
        owned = self._owners[owner]
        free = (id for id, kept in owned.items() if not kept.taken and id != new)
        owned.pop(next(free, next(iter(owned))))
        self._tidy(owner)

    def _forget_idle(self) -> None:
        before = self._clock() - self._idle_s
        for owner, owned in list(self._owners.items()):
            while owned:
                id, kept = next(iter(owned.items()))
                if kept.used > before:
                    break
                del owned[id]
            self._tidy(owner)

    def _tidy(self, owner: str) -> None:
        if not self._owners.get(owner, True):
            del self._owners[owner]


def no_session() -> ApiError:
    """Also of one that is somebody else's."""
    return ApiError(404, "session_not_found", "There is no such session.", "session")


def new_session_id(unique: Callable[[], str] = lambda: uuid4().hex) -> str:
    """``chat_…``: nobody guesses it."""
    return f"chat_{unique()}"
