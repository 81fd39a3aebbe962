"""`Idempotency-Key` on real sockets: any answer is given again, and the work is done once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from voice_server import voice_server

from telebot.api import streaming
from telebot.api.idempotency import ENTRY_BYTES, KEPT_S, SHARE, Once
from telebot.api.streaming import Stream, TooSlow
from telebot.api.voice.events import Events
from telebot.api.voice.leaving import unless_gone
from telebot.audio import wav
from telebot.call.errors import ApiError
from telebot.web.errors import errors

pytestmark = pytest.mark.peers

HZ = 16_000
HEAR, SAY = "/v1/voice/transcribe", "/v1/voice/synthesize"


@dataclass
class Worker:
    """Endpoints that count what they do; `may_go` holds them up."""

    once: Once
    done: list[str] = field(default_factory=list)
    may_go: asyncio.Event = field(default_factory=asyncio.Event)
    fails: list[BaseException] = field(default_factory=list)
    size: int = 3
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cut: asyncio.Event = field(default_factory=asyncio.Event)

    async def whole(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return await self.once.answer(request, body, lambda: unless_gone(request, self._whole()))

    async def streamed(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return await self.once.answer(request, body, lambda: self._streamed(request))

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self.once.answer(request, b"", lambda: self._events(request))

    async def _whole(self) -> web.Response:
        self.done.append("whole")
        self.begun.set()
        await self.may_go.wait()
        if self.fails:
            raise self.fails.pop()
        return web.Response(
            body=b"x" * self.size, content_type="audio/mpeg", headers={"x-cost": "0.1"}, status=201
        )

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        self.done.append("streamed")
        response = Stream(request, {"Content-Type": "audio/wav", "x-provider": "p"})
        await response.prepare(request)
        try:
            for piece in (b"RIFF", b"x" * self.size):
                await response.write(piece)
        except TooSlow:
            self.cut.set()
            raise
        if self.fails:
            self.fails.pop()
            response.cut()
            return response
        await response.write_eof()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.done.append("events")
        async with Events(request) as events:
            await events.send("partial", {"text": "a"})
            if self.fails:
                raise self.fails.pop()
        return events.response


@dataclass
class Server:
    url: str
    worker: Worker
    http: aiohttp.ClientSession
    now: list[float]

    async def post(
        self, path: str, key: str, body: bytes = b"a", owner: str = "me"
    ) -> tuple[int, bytes, aiohttp.typedefs.CIMultiDictProxy[str]]:
        headers = {"Idempotency-Key": key, "x-owner": owner}
        async with self.http.post(f"{self.url}/{path}", data=body, headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers


@asynccontextmanager
async def serving(http, most_bytes: int = 1 << 20) -> AsyncIterator[Server]:
    now = [0.0]
    once = Once(
        lambda: now[0],
        lambda request: request.headers["x-owner"],
        (Final,),
        most_bytes=most_bytes,
    )
    worker = Worker(once)
    worker.may_go.set()
    app = web.Application(middlewares=[errors])
    for name in ("whole", "streamed", "events"):
        app.router.add_post(f"/{name}", getattr(worker, name))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}", worker, http, now)
    finally:
        await runner.cleanup()


class Final(ApiError):
    pass


@pytest.mark.parametrize("path", ["whole", "streamed", "events"])
async def test_an_answer_is_given_again_as_it_was(http, path):
    async with serving(http) as server:
        first = await server.post(path, "k")
        again = await server.post(path, "k")
        assert again[:2] == first[:2]
        assert again[2]["Content-Type"] == first[2]["Content-Type"]
        for name in ("x-cost", "x-provider"):
            assert again[2].get(name) == first[2].get(name)
        assert "Idempotent-Replayed" not in first[2]
        assert again[2]["Idempotent-Replayed"] == "true"
        assert server.worker.done == [path]


async def test_two_at_once_wait_for_one(http):
    async with serving(http) as server:
        server.worker.may_go.clear()
        asked = [asyncio.create_task(server.post("whole", "k")) for _ in range(5)]
        await server.worker.begun.wait()
        server.worker.may_go.set()
        answers = await asyncio.gather(*asked)
        assert {answer[:2] for answer in answers} == {(201, b"xxx")}
        assert server.worker.done == ["whole"]


async def test_keys_belong_to_their_owner_and_their_request(http):
    async with serving(http) as server:
        await server.post("whole", "k")
        assert (await server.post("whole", "k", owner="you"))[0] == 201
        status, told, _ = await server.post("whole", "k", b"another")
        assert (status, b"idempotency_key_reused" in told) == (422, True)
        assert (await server.post("streamed", "k"))[0] == 200
        assert server.worker.done == ["whole", "whole", "streamed"]
        for wrong in ("x" * 256, "a\tb"):
            assert (await server.post("whole", wrong))[0] == 400


async def test_what_failed_is_done_again_but_what_is_final(http):
    async with serving(http) as server:
        server.worker.fails = [ApiError(502, "failed", "f")]
        assert [(await server.post("whole", "a"))[0] for _ in range(2)] == [502, 201]
        assert [(await server.post("whole", "b"))[0] for _ in range(2)] == [201, 201]
        server.worker.fails = [Final(502, "final", "f")]
        assert [(await server.post("whole", "c"))[0] for _ in range(2)] == [502, 502]


async def test_a_stream_that_broke_off_is_made_again(http):
    async with serving(http) as server:
        server.worker.fails = [ApiError(502, "failed", "f")]
        with pytest.raises(aiohttp.ClientError):
            await server.post("streamed", "a")
        assert (await server.post("streamed", "a"))[:2] == (200, b"RIFFxxx")
        server.worker.fails = [ApiError(502, "failed", "f")]
        assert b"event: error" in (await server.post("events", "b"))[1]
        assert b"event: error" not in (await server.post("events", "b"))[1]


async def test_when_the_first_goes_away_one_of_the_others_does_it(http):
    async with serving(http) as server:
        server.worker.may_go.clear()
        first, *others = (asyncio.create_task(server.post("whole", "k")) for _ in range(3))
        await server.worker.begun.wait()
        server.worker.begun.clear()
        first.cancel()
        await server.worker.begun.wait()
        server.worker.may_go.set()
        answers = await asyncio.gather(*others)
        assert {answer[:2] for answer in answers} == {(201, b"xxx")}
        assert server.worker.done == ["whole", "whole"]


async def test_memory_is_bounded_and_who_holds_most_of_it_loses_first(http):
    most = 16 * ENTRY_BYTES
    async with serving(http, most) as server:
        await server.post("whole", "mine", owner="me")
        for number in range(40):
            await server.post("whole", f"k{number}", owner="greedy")
        assert server.worker.once.held_bytes <= most
        assert "Idempotent-Replayed" in (await server.post("whole", "mine", owner="me"))[2]
        assert "Idempotent-Replayed" not in (await server.post("whole", "k0", owner="greedy"))[2]


@pytest.mark.parametrize("path", ["whole", "streamed"])
async def test_an_answer_too_long_to_be_kept_is_not_paid_for_twice(http, path):
    most = 64 * ENTRY_BYTES
    async with serving(http, most) as server:
        server.worker.size = most // SHARE + 1
        assert len((await server.post(path, "k"))[1]) > most // SHARE
        status, told, _ = await server.post(path, "k")
        assert (status, b"answer_not_kept" in told) == (409, True)
        assert server.worker.done == [path]


async def test_a_day_later_it_is_forgotten(http):
    async with serving(http) as server:
        await server.post("whole", "k")
        server.now[0] = KEPT_S
        assert "Idempotent-Replayed" not in (await server.post("whole", "k"))[2]


async def test_a_reader_that_stands_still_is_cut_off(http, monkeypatch):
    monkeypatch.setattr(streaming, "TAKEN_WITHIN_S", 0.2)
    async with serving(http) as server:
        server.worker.size = 64 << 20  # more than the sockets of both sides hold
        host, _, port = server.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            b"POST /streamed HTTP/1.1\r\nHost: x\r\nx-owner: me\r\nContent-Length: 0\r\n\r\n"
        )
        await server.worker.cut.wait()
        writer.close()


async def test_voice_work_is_done_and_paid_once(speech):
    async with voice_server(speech) as server:
        headers = {"Idempotency-Key": "evening"}
        asked = {"text": "Good evening.", "format": "wav"}
        first = await server.post(SAY, json=asked, headers=headers)
        again = await server.post(SAY, json=dict(reversed(asked.items())), headers=headers)
        assert again[:2] == first[:2]
        assert again[2]["x-generation-id"] == first[2]["x-generation-id"]
        status, _, _ = await server.post(SAY, json=asked | {"format": "mp3"}, headers=headers)
        assert status == 422
        assert [done.work for done in server.done] == ["tts"]

        async def spoken() -> bytes:
            clips = [
                clip.pcm16 async for clip in speech.tts.stream("A table for four.", rate_hz=HZ)
            ]
            return wav.written(b"".join(clips), HZ)

        file = await spoken()
        for path in (HEAR, "/v1/audio/transcriptions"):
            heard = []
            for _ in range(2):  # each form has a boundary of its own
                form = aiohttp.FormData({"model": "local"})
                form.add_field("file", io.BytesIO(file), filename="a.wav")
                heard.append(await server.post(path, data=form, headers=headers))
            assert heard[0][:2] == heard[1][:2]
            assert "table" in str(heard[0][1])
        assert [done.work for done in server.done] == ["tts", "stt", "stt"]
