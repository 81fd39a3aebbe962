"""Uploads at once are bounded in bytes, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from telebot.records.keys import ApiKey, Scope
from telebot.web.auth import Gate
from telebot.web.errors import errors
from telebot.web.upload_room import UploadRoom

pytestmark = pytest.mark.peers

PATH = "/v1/voice/transcribe"


class AnyKey:
    """Every secret is a key of that name."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        return ApiKey(str(secret), "x", Scope.OPERATOR, "created", datetime.now(UTC), None, None)


@asynccontextmanager
async def serving(room: UploadRoom, go: asyncio.Event) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await go.wait()
        return web.Response(text="done")

    app = web.Application(middlewares=[errors, Gate(AnyKey()).middleware, room.middleware])
    app.router.add_post(PATH, answer)
    app.router.add_get("/v1/voice/models", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_uploads_have_room_or_are_told_to_come_again(http):
    room, go = UploadRoom(1000, 400), asyncio.Event()
    async with serving(room, go) as url:

        async def send(owner: str, size: int | None) -> tuple[int, str | None]:
            async def chunks() -> AsyncIterator[bytes]:
                yield b"x"

            data = chunks() if size is None else b"x" * size
            headers = {"Authorization": f"Bearer {owner}"}
            async with http.post(url + PATH, data=data, headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After")

        async def holds(size: int) -> None:
            while room.held != size:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        waiting = [asyncio.create_task(send("a", 300))]
        await holds(300)
        assert await send("a", 300) == (503, "5")  # more than half
        waiting += [asyncio.create_task(send("b", 350)), asyncio.create_task(send("c", 300))]
        await holds(950)
        assert await send("d", 100) == (503, "5")
        assert await send("d", None) == (503, "5")
        waiting.append(asyncio.create_task(send("d", 50)))
        await holds(1000)
        go.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
        assert room.held == 0
        assert (await send("a", None))[0] == 200  # unknown: counts as the largest
        assert (await send("a", 600))[0] == 200  # alone there is always room


async def test_who_goes_away_takes_nothing_with_them(http):
    room, go = UploadRoom(1000, 400), asyncio.Event()
    async with serving(room, go) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 400\r\n\r\nhalf of it"
        writer.write(head.encode())
        while not room.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        writer.close()
        while room.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        go.set()
