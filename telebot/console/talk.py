"""`/console/talk`: a telephone in the browser, for whoever is logged in and may make calls.

The page talks as any other would: by the JavaScript client, over `WS /v1/voice/realtime`. Its
one-time token is asked for here, by the session's cookie; the API key is never in the page.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from telebot.console.pages import WHO, Console
from telebot.console.sessions import PATH, from_elsewhere
from telebot.records.keys import ApiKey, Scope

TALK = f"{PATH}/talk"
POLICY = "Content-Security-Policy"
HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
# makes a realtime session of what a request's body asks for, for this key
Promise = Callable[[web.Request, ApiKey], Awaitable[web.Response]]


class Talk:
    """The page and its tokens; `agents` may be called, the first one usually is."""

    def __init__(self, console: Console, agents: Sequence[str], promise: Promise) -> None:
        self._console = console
        self._agents = agents
        self._promise = promise

    async def page(self, request: web.Request) -> web.Response:
        if not request[WHO].scope.allows(Scope.OPERATOR):
            why = "To talk is to make a call, which needs a key of scope operator."
            return self._console.notice("This key only reads", why, 403)
        page = self._console.page("talk.html", agents=self._agents)
        if HOST.fullmatch(request.host):  # for browsers to which 'self' is no socket
            sockets = f"connect-src 'self' ws://{request.host} wss://{request.host};"
            policy = page.headers[POLICY]
            page.headers[POLICY] = policy.replace("connect-src 'self';", sockets)
        return page

    async def token(self, request: web.Request) -> web.Response:
        """Raises `WrongScope`, and what the promise raises."""
        if from_elsewhere(request):
            return self._console.notice("Not from here", "Another site asked for this.", 403)
        key = request[WHO]
        key.require(Scope.OPERATOR)
        return await self._promise(request, key)


def setup(app: web.Application, console: Console, talk: Talk) -> None:
    """Add the page and the address of its tokens."""
    app.router.add_get(TALK, console.guarded(talk.page))
    app.router.add_post(TALK, console.guarded(talk.token))
