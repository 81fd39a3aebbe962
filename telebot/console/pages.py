"""The console's routes: log in, the list, one call, its audio. To talk from a page: `talk.py`.

Pages are made here from `records/` by templates that escape everything; `static/console.js` only
adds comfort. Nothing is fetched from outside, and the policy sent along forbids it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from telebot.call.model import Result
from telebot.console import client, view
from telebot.console.sessions import COOKIE, PATH, Sessions, TooMany, from_elsewhere, set_cookie
from telebot.console.templating import Templates
from telebot.records.keys import ApiKey, Keys, NoKey, Scope, WrongScope
from telebot.records.reading import BadCursor, CallFilter, CallReader, NoRecording
from telebot.records.store import RecordsAway

ROOM = Path(__file__).parent
PAGE_CALLS = 50
PAGE_EVENTS = 200
MAX_LOGIN_BYTES = 4096
LOGIN_WITHIN_S = 10.0
STATIC = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "talk.js": "text/javascript",
}
FILTERS = ("q", "result", "agent", "carrier")
PROTECT = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WHO = web.RequestKey("who", ApiKey)  # whose session it is
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """The handlers, on the records they show."""

    def __init__(self, reader: CallReader, keys: Keys, sessions: Sessions) -> None:
        self._reader = reader
        self._keys = keys
        self._sessions = sessions
        self._templates = Templates()

    async def login_page(self, request: web.Request) -> web.Response:
        return self._login(request, next_path=_next(request.query.get("next", "")))

    async def login(self, request: web.Request) -> web.StreamResponse:
        if from_elsewhere(request):
            return self.notice("Not from here", "Another site sent this form.", 403)
        form = await _form(request)
        if form is None:
            refused = self.notice("Not a form", "Send the login form.", 400)
            refused.force_close()  # of a broken body nobody knows the end
            return refused
        try:
            cookie = await self._sessions.begin(form.get("key", "").strip(), request.remote or "")
        except TooMany:
            return self._login(request, "Too many wrong keys. Wait a minute.", 429)
        except (NoKey, WrongScope):
            return self._login(request, "That key is not known here.", 401)
        response = _redirect(_next(form.get("next", "")))
        set_cookie(response, cookie, secure=request.secure)
        return response

    async def logout(self, request: web.Request) -> web.StreamResponse:
        if from_elsewhere(request):
            return self.notice("Not from here", "Another site sent this form.", 403)
        self._sessions.end(request)
        response = _redirect(f"{PATH}/login")
        response.del_cookie(COOKIE, path=PATH)
        return response

    async def calls(self, request: web.Request) -> web.Response:
        wanted = {name: request.query.get(name, "").strip()[:128] for name in FILTERS}
        wanted["result"] = wanted["result"] if wanted["result"] in list(Result) else ""
        chosen: dict[str, Any] = {
            name: value for name, value in wanted.items() if value and value.isprintable()
        }
        try:
            page = await self._reader.page(
                replace(CallFilter(), **chosen),
                PAGE_CALLS,
                request.query.get("cursor") or None,
                sees=_sees(request),
            )
        except BadCursor:
            raise web.HTTPFound(f"{PATH}/") from None
        older = page.next_cursor and f"?{urlencode(chosen | {'cursor': page.next_cursor})}"
        return self.page(
            "calls.html",
            calls=page.data,
            older=older,
            wanted=wanted,
            filtered=bool(chosen),
            later="cursor" in request.query,
            results=list(Result),
        )

    async def call(self, request: web.Request) -> web.Response:
        call_id = request.match_info["id"]
        call = await self._reader.call(call_id, sees=_sees(request))
        if call is None:
            return self._no_call()
        turns = view.turn_views(call.turns)
        slowest = max(
            (turn for turn in turns if turn.total_ms), key=lambda t: t.total_ms or 0, default=None
        )
        return self.page(
            "call.html",
            call=call,
            turns=turns,
            slowest=slowest,
            legend=[
                part
                for part in view.PARTS
                if any(part[0] == p.name for t in turns for p in t.parts)
            ],
        )

    async def events(self, request: web.Request) -> web.Response:
        call_id = request.match_info["id"]
        try:
            page = await self._reader.events(
                call_id,
                PAGE_EVENTS,
                request.query.get("cursor") or None,
                sees=_sees(request),
            )
        except BadCursor:
            raise web.HTTPFound(f"{PATH}/calls/{call_id}/events") from None
        if page is None:
            return self._no_call()
        return self.page("events.html", call_id=call_id, page=page)

    async def recording(self, request: web.Request) -> web.StreamResponse:
        try:
            path = await self._reader.recording(request.match_info["id"], sees=_sees(request))
        except NoRecording as error:
            return self.notice("Nothing to hear", f"The recording is {error.code}.", 404)
        if path is None:
            return self._no_call()
        return web.FileResponse(path, headers=PROTECT | {"Content-Type": "audio/wav"})

    def guarded(self, handler: Handler) -> Handler:
        """`handler` for those who are logged in; the login page for all others."""

        async def guard(request: web.Request) -> web.StreamResponse:
            await self._templates.ready()
            try:
                session = await self._sessions.find(request)
                if session is None:
                    return self._login(request, status=401, next_path=_next(request.path_qs))
                request[WHO] = session[0]
                response = await handler(request)
            except RecordsAway:
                return self.notice("Just a moment", "The database does not answer.", 503)
            if session[1] is not None:
                set_cookie(response, session[1], secure=request.secure)
            return response

        return guard

    def open(self, handler: Handler) -> Handler:
        """`handler` for everybody."""

        async def guard(request: web.Request) -> web.StreamResponse:
            await self._templates.ready()
            try:
                return await handler(request)
            except RecordsAway:
                return self.notice("Just a moment", "The database does not answer.", 503)

        return guard

    def _login(
        self, request: web.Request, fault: str = "", status: int = 200, next_path: str = f"{PATH}/"
    ) -> web.Response:
        hint = ""
        if _is_loopback(request) and self._keys.first.is_set:
            hint = "TELEBOT_ADMIN_KEY"
        elif _is_loopback(request) and self._keys.first.path.exists():
            hint = str(self._keys.first.path)
        return self.page("login.html", status, fault=fault, hint=hint, next=next_path)

    def _no_call(self) -> web.Response:
        return self.notice("No such call", "There is no such call, or it was deleted.", 404)

    def notice(self, title: str, text: str, status: int) -> web.Response:
        """A page that says one thing."""
        return self.page("notice.html", status, title=title, text=text)

    def page(self, template: str, status: int = 200, **parts: Any) -> web.Response:
        """What a template makes of `parts`."""
        return web.Response(
            text=self._templates.render(template, parts),
            status=status,
            content_type="text/html",
            charset="utf-8",
            headers=PROTECT,
        )


def _sees(request: web.Request) -> str | None:
    """The key whose realtime sessions alone may be seen; None: all."""
    key = request[WHO]
    return None if key.scope.allows(Scope.ADMIN) else key.id


def setup(app: web.Application, console: Console) -> None:
    """Add everything under `/console/`."""
    one = f"{PATH}/calls/{{id:[A-Za-z0-9_-]{{1,64}}}}"
    router = app.router
    router.add_get(PATH, _to_list)
    router.add_get(f"{PATH}/login", console.open(console.login_page))
    router.add_post(f"{PATH}/login", console.open(console.login))
    router.add_post(f"{PATH}/logout", console.open(console.logout))
    router.add_get(f"{PATH}/", console.guarded(console.calls))
    router.add_get(one, console.guarded(console.call))
    router.add_get(f"{one}/events", console.guarded(console.events))
    router.add_get(f"{one}/recording", console.guarded(console.recording))
    for file, media_type in STATIC.items():
        text = (ROOM / "static" / file).read_text("utf-8")
        router.add_get(f"{PATH}/static/{file}", _static(text, media_type))
    client.setup(app)


async def _form(request: web.Request) -> dict[str, str] | None:
    """The fields of the login form; None where it is none, is long, or takes long."""
    if request.content_type != "application/x-www-form-urlencoded":
        return None
    if request.content_length is None or request.content_length > MAX_LOGIN_BYTES:
        return None
    try:
        async with asyncio.timeout(LOGIN_WITHIN_S):
            return {name: str(value) for name, value in (await request.post()).items()}
    except (TimeoutError, ValueError, LookupError):
        return None
    except (HttpProcessingError, web.RequestPayloadError, web.PayloadAccessError):
        request.content.feed_eof()  # or aiohttp reads on, and logs what it meets as an error
        return None


def _static(text: str, media_type: str) -> Handler:
    async def static(_: web.Request) -> web.Response:
        headers = PROTECT | {"Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=media_type, charset="utf-8", headers=headers)

    return static


async def _to_list(_: web.Request) -> web.StreamResponse:
    return _redirect(f"{PATH}/")


def _redirect(to: str) -> web.Response:
    return web.Response(status=303, headers=PROTECT | {"Location": to})


def _next(path: str) -> str:
    """Where to go after logging in: a page of the console, nothing else."""
    ours = path.startswith(f"{PATH}/") and path.isascii() and path.isprintable()
    inside = ours and "\\" not in path and "//" not in path and len(path) < 2048
    return path if inside and not path.startswith(f"{PATH}/log") else f"{PATH}/"


def _is_loopback(request: web.Request) -> bool:
    """True for a browser on this machine that did not come by way of a proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
