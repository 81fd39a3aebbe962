"""FreeSWITCH's commands over HTTP (`mod_xml_rpc`'s `/txtapi`), as `mod_commands` answers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import encode_basic_auth, web

USER, PASSWORD = "freeswitch", "works"
WORDS = {"uuid_kill": 1, "uuid_transfer": 4, "uuid_send_dtmf": 2, "bgapi": 5}


@dataclass
class ApiPeer:
    """What was asked; `channels` that exist (all, where it is empty); `answers` are statuses, or
    ``drop``, of the next requests."""

    url: str = ""
    asked: list[list[str]] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)
    answers: list[int | str] = field(default_factory=list)
    unauthorized: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "drop":
            request.transport.abort()
            await asyncio.sleep(0)
            return web.Response()
        if request.headers.get("Authorization") != encode_basic_auth(USER, PASSWORD):
            self.unauthorized += 1
            return web.Response(status=401)
        if answer != 200:
            return web.Response(status=answer)
        command = request.match_info["command"]
        words = unquote(request.rel_url.raw_query_string).split(" ")
        self.asked.append([command, *words])
        return web.Response(text=self._answer(command, words))

    def _answer(self, command: str, words: list[str]) -> str:
        if len(words) != WORDS.get(command):
            return "-USAGE: <uuid> …\n"
        if command == "bgapi":
            return "+OK Job-UUID: 9d4d7e1c-6f0e-4f1d-9a3b-0242ac120002\n"
        if self.channels and words[0] not in self.channels:
            return "-ERR No such channel!\n"
        return "+OK\n"


@asynccontextmanager
async def commands() -> AsyncIterator[ApiPeer]:
    """Such a server on a free port."""
    peer = ApiPeer()
    app = web.Application()
    app.router.add_get("/txtapi/{command}", peer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()


def settings(peer: ApiPeer) -> dict[str, str]:
    """The server's environment for this peer."""
    return {
        "FREESWITCH_BASE_URL": peer.url,
        "FREESWITCH_API_USER": USER,
        "FREESWITCH_API_PASSWORD": PASSWORD,
    }
