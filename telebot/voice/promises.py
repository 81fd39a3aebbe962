"""The one-time tokens that stand for realtime sessions. A token is good once, on the server that
gave it; what it fixes lies here until then. Next: `web/realtime/door.py`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from telebot.call.errors import BadToken, Local
from telebot.call.ports import Clock
from telebot.call.tokens import StreamTokens
from telebot.records.keys import ApiKey
from telebot.voice.sessions import SessionRequest

AUDIENCE = "realtime"  # of the tokens, and the carrier of such calls
TOKEN_PROTOCOL = "telebot.token."
MOST_PROMISED = 4096
MOST_PROMISED_A_KEY = 256


@dataclass(frozen=True, slots=True)
class Promised:
    """A session that may begin, once."""

    id: str
    key: ApiKey
    request: SessionRequest
    expires_at: datetime


class TooManyPromised(Local):
    """This key has asked for more sessions than it begins."""


class Promises:
    """The sessions that tokens stand for. `new_id` makes names that nobody guesses."""

    def __init__(self, tokens: StreamTokens, clock: Clock, new_id: Callable[[], str]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._new_id = new_id
        self._promised: OrderedDict[str, tuple[float, Promised]] = OrderedDict()  # by nonce
        self._of_key: Counter[str] = Counter()

    def make(self, key: ApiKey, request: SessionRequest) -> tuple[Promised, str]:
        """A session of that key's owner, and its token. Raises `TooManyPromised`."""
        self._forget_old()
        full = len(self._promised) >= MOST_PROMISED
        if full or self._of_key[key.id] >= MOST_PROMISED_A_KEY:
            raise TooManyPromised("Too many tokens are waiting to be used; use them first.")
        nonce, session = self._new_id(), session_id(self._new_id())
        until = self._tokens.now() + timedelta(seconds=self._tokens.life_s)
        promised = Promised(session, key, request, until)
        self._promised[nonce] = (self._clock() + self._tokens.life_s, promised)
        self._of_key[key.id] += 1
        return promised, self._tokens.issue(session, AUDIENCE, nonce)

    def spend(self, token: str) -> Promised:
        """The session of a token, which is good no more. Raises `BadToken`."""
        session, nonce = self._tokens.read(token, AUDIENCE)
        self._forget_old()
        found = self._promised.get(nonce)
        if found is None or found[1].id != session:
            raise BadToken("used, or of another server")
        self._drop(nonce)
        return found[1]

    def _forget_old(self) -> None:
        """The oldest stand first."""
        now = self._clock()
        while self._promised and next(iter(self._promised.values()))[0] <= now:
            self._drop(next(iter(self._promised)))

    def _drop(self, nonce: str) -> None:
        _, promised = self._promised.pop(nonce)
        self._of_key[promised.key.id] -= 1
        if not self._of_key[promised.key.id]:
            del self._of_key[promised.key.id]


def session_id(name: str) -> str:
    """Of a session (``rt_…``)."""
    return f"rt_{name}"
