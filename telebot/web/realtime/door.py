"""Who may open a session: an API key with the upgrade, or a one-time token; and how many at once.

A browser can set no header, so a token comes as a subprotocol beside ours. Refusals are close codes
of a socket that was opened for that alone: a page is told no HTTP status.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from telebot.call.errors import ApiError, BadToken, Local
from telebot.records.keys import ApiKey, Scope, WrongScope
from telebot.voice.promises import TOKEN_PROTOCOL, Promises, session_id
from telebot.voice.sessions import SessionRequest
from telebot.voice_settings import VoiceSettings
from telebot.web.auth import KEY
from telebot.web.origins import Origins

NO_KEY, NO_MONEY, NOT_YOURS, TOO_MANY = 4401, 4402, 4403, 4429
NEEDED = Scope.OPERATOR  # a session is a call that the key's owner makes
AS_IT_COMES = SessionRequest()
LEAVING_S = 1.0  # for a session that has ended to be put away


class TurnedAway(Local):
    """No session: the close code, and why."""

    def __init__(self, close_code: int, code: str, message: str) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code


@dataclass(frozen=True, slots=True)
class Pass:
    """A session that may begin."""

    id: str
    key: ApiKey
    request: SessionRequest


class Door:
    """Lets sessions in, and counts them until they are `out`. `pays` raises `ApiError` where a
    key's budget is used up; `known` gives a key as it is now, None where it opens nothing."""

    def __init__(
        self,
        promises: Promises,
        origins: Origins,
        settings: VoiceSettings,
        *,
        pays: Callable[[ApiKey], Awaitable[None]],
        known: Callable[[ApiKey], Awaitable[ApiKey | None]],
        new_id: Callable[[], str],
    ) -> None:
        self._promises = promises
        self._origins = origins
        self._settings = settings
        self._pays = pays
        self._known = known
        self._new_id = new_id
        self._of_key: Counter[str] = Counter()
        self._left = asyncio.Event()  # somebody has

    async def enter(self, request: web.Request) -> Pass:
        """Raises `TurnedAway`."""
        if not self._origins.allows(request):
            raise TurnedAway(NOT_YOURS, "wrong_origin", "Pages of this origin may not.")
        admitted = self._admitted(request)
        try:
            admitted.key.require(NEEDED)
        except WrongScope as error:
            raise TurnedAway(NOT_YOURS, "wrong_scope", f"{error}.") from None
        await self.still(admitted)
        await self._room(admitted.key.id)
        self._of_key[admitted.key.id] += 1
        return admitted

    async def _room(self, key_id: str) -> None:
        """Whether there is room for one more. A session whose client has seen its end is put away a
        moment later, and the next one may be there already. Raises `TurnedAway`."""
        until = asyncio.get_running_loop().time() + LEAVING_S
        while whose := self._full(key_id):
            self._left.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._left.wait()
            except TimeoutError:
                message = f"This {whose} has too many sessions."
                raise TurnedAway(TOO_MANY, "too_many_sessions", message) from None

    def _full(self, key_id: str) -> str:
        """Whose bound is reached: the key's or the server's."""
        if self._of_key[key_id] >= self._settings.sessions_per_key:
            return "key"
        return "server" if self._of_key.total() >= self._settings.sessions else ""

    async def still(self, admitted: Pass) -> None:
        """Whether its key opens it still, and pays: a session lasts longer than a request. Raises
        `TurnedAway`, and `RecordsAway`."""
        key = await self._known(admitted.key)
        if key is None:
            raise TurnedAway(NO_KEY, "key_gone", "The key of this session opens nothing any more.")
        try:
            await self._pays(key)
        except ApiError as error:
            raise TurnedAway(NO_MONEY, error.code, str(error)) from None

    def out(self, admitted: Pass) -> None:
        """A session is over."""
        self._of_key[admitted.key.id] -= 1
        if self._of_key[admitted.key.id] <= 0:
            del self._of_key[admitted.key.id]
        self._left.set()

    @property
    def inside(self) -> int:
        """Sessions that are up."""
        return self._of_key.total()

    def _admitted(self, request: web.Request) -> Pass:
        if token := _token(request):
            try:
                promised = self._promises.spend(token)
            except BadToken as error:
                raise TurnedAway(NO_KEY, "bad_token", f"The token is no good: {error}.") from None
            wanted = promised.request.origin
            if wanted is not None and request.headers.get(hdrs.ORIGIN) != wanted:
                raise TurnedAway(NOT_YOURS, "wrong_origin", "The token is for another origin.")
            return Pass(promised.id, promised.key, promised.request)
        key = request.get(KEY)
        if key is None:
            raise TurnedAway(NO_KEY, "no_key", "Send a key, or a token as a subprotocol.")
        return Pass(session_id(self._new_id()), key, AS_IT_COMES)


def _token(request: web.Request) -> str:
    """The token among the subprotocols, or ""."""
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    for each in offered.split(","):
        if each.strip().startswith(TOKEN_PROTOCOL):
            return each.strip().removeprefix(TOKEN_PROTOCOL)
    return ""
