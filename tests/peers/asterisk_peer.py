"""Asterisk's manager interface over HTTP (`/rawman`), as `main/manager.c` answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

USER, SECRET = "telebot", "a secret of the tests"
COOKIE = "mansession_id"
NEEDED = {
    "Hangup": {"Channel"},
    "Redirect": {"Channel", "Context", "Exten", "Priority"},
    "Originate": {"Channel", "Context", "Exten", "Priority", "Async", "ChannelId"},
    "PlayDTMF": {"Channel", "Digit"},
}


@dataclass
class AmiPeer:
    """What was asked; `channels` that exist (all, where it is empty); `answers` are statuses, or
    ``drop`` and ``hang``, of the next requests."""

    url: str = ""
    actions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)
    answers: list[int | str] = field(default_factory=list)
    logins: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hang":
            await asyncio.sleep(60)
        if answer == "drop":
            request.transport.abort()
            return web.Response()
        if isinstance(answer, int) and answer != 200:
            return web.Response(status=answer)
        form = await request.post()
        action = str(form.get("action", ""))
        if action == "login":
            return self._login(form)
        if request.cookies.get(COOKIE) != "0badcafe":
            return _told("Error", "Authentication Required")
        return self._act(action, form)

    def _login(self, form) -> web.Response:
        self.logins += 1
        if (form.get("username"), form.get("secret")) != (USER, SECRET):
            return _told("Error", "Authentication failed")
        response = _told("Success", "Authentication accepted")
        response.headers["Set-Cookie"] = f'{COOKIE}="0badcafe"; Version=1; Max-Age=60'
        return response

    def _act(self, action: str, form) -> web.Response:
        fields = {name: value for name, value in form.items() if name not in ("action", "Variable")}
        if not NEEDED.get(action, {"?"}) <= fields.keys():
            return _told("Error", "Invalid/unknown command")
        self.actions.append((action, fields))
        self.variables += form.getall("Variable", [])
        if action != "Originate" and self.channels and fields["Channel"] not in self.channels:
            return _told("Error", "No such channel")
        return _told("Success", "Channel Hungup" if action == "Hangup" else "Queued")


def _told(response: str, message: str) -> web.Response:
    text = f"Response: {response}\r\nMessage: {message}\r\n\r\n"
    return web.Response(text=text, content_type="text/plain")


@asynccontextmanager
async def ami() -> AsyncIterator[AmiPeer]:
    """A manager interface on a free port."""
    peer = AmiPeer()
    app = web.Application()
    app.router.add_post("/rawman", peer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()


def settings(peer: AmiPeer) -> dict[str, str]:
    """The server's environment for this peer."""
    return {
        "ASTERISK_BASE_URL": peer.url,
        "ASTERISK_AMI_USER": USER,
        "ASTERISK_AMI_SECRET": SECRET,
    }
