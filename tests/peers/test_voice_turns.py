"""Places of voice work over HTTP: who waits, who is turned away, and who leaves."""

from __future__ import annotations

import asyncio
import io
import socket
import threading

import aiohttp
import pytest
from voice_server import voice_server

from telebot.records.keys import Tier
from telebot.voice.fetching import LOOK_UPS
from telebot.voice.line import Asker

pytestmark = pytest.mark.peers

SAY = "/v1/voice/synthesize"
TEXT = {"text": "Good evening.", "format": "wav"}


async def until(true) -> None:
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_work_waits_for_a_place_and_says_so(speech):
    async with voice_server(speech, at_once=1) as server:
        line = server.voice.line
        place = await line.take(Asker("somebody"))
        asked = [
            asyncio.create_task(server.post(path, json=body))
            for path, body in (
                (SAY, TEXT),
                (SAY, TEXT | {"stream": False}),
                (SAY, TEXT | {"events": True}),
                ("/v1/audio/speech", {"model": "local", "input": "Good evening."}),
            )
        ]
        await until(lambda: line.waiting(Tier.NORMAL) == 4)
        async with server.session.get(f"{server.url}/v1/voice/models") as answer:
            assert answer.status == 200  # lists need no place
        place.leave()
        for status, _, headers in await asyncio.gather(*asked):
            assert status == 200
            assert int(headers["x-queue-wait-ms"]) >= 0
        assert line.all.running == 0


async def test_without_a_place_in_time_there_is_a_503_and_when_to_come_again(speech):
    async with voice_server(speech, at_once=1, queue_s=0) as server:
        place = await server.voice.line.take(Asker("somebody"))
        status, told, headers = await server.post(SAY, json=TEXT)
        assert (status, told["error"]["code"]) == (503, "busy")
        assert int(headers["Retry-After"]) >= 1
        assert told["error"]["metadata"]["tier"] == "normal"
        assert server.done == []
        place.leave()
        assert (await server.post(SAY, json=TEXT))[0] == 200


async def test_who_goes_away_leaves_the_queue(speech):
    async with voice_server(speech, at_once=1) as server:
        line = server.voice.line
        place = await line.take(Asker("somebody"))
        gone = asyncio.create_task(server.post(SAY, json=TEXT))
        await until(lambda: line.waiting(Tier.NORMAL) == 1)
        gone.cancel()
        await until(lambda: line.waiting(Tier.NORMAL) == 0)
        place.leave()
        assert line.all.running == 0
        assert server.done == []


async def test_an_answer_that_is_given_again_needs_no_place(speech):
    async with voice_server(speech, at_once=1, queue_s=0) as server:
        headers = {"Idempotency-Key": "k"}
        first = await server.post(SAY, json=TEXT, headers=headers)
        await server.voice.line.take(Asker("somebody"))
        again = await server.post(SAY, json=TEXT, headers=headers)
        assert again[:2] == first[:2]
        assert "x-queue-wait-ms" not in again[2]


async def test_names_that_hang_hold_up_nobody_elses_threads(speech, monkeypatch):
    """The loop's own threads stay free, for the calls."""
    go, real = threading.Event(), socket.getaddrinfo

    def slow(host, *args, **kwargs):
        if host == "slow.example":
            go.wait(30)
            raise socket.gaierror("nobody")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        async with voice_server(speech) as server:
            asked = {"url": "http://slow.example/a.wav"}
            fetches = [
                asyncio.create_task(server.post("/v1/voice/transcribe", json=asked))
                for _ in range(8)
            ]
            await until(lambda: server.voice.line.large.running == 8)
            await until(lambda: sum("look-up" in it.name for it in threading.enumerate()))
            assert sum("look-up" in it.name for it in threading.enumerate()) <= LOOK_UPS
            async with asyncio.timeout(20):
                await asyncio.to_thread(lambda: None)
                assert (await server.post(SAY, json=TEXT))[0] == 200
            go.set()
            assert {status for status, _, _ in await asyncio.gather(*fetches)} == {422}
    finally:
        go.set()


async def test_sound_is_decoded_by_few_threads(speech):
    async with voice_server(speech, media_threads=1) as server:
        form = [aiohttp.FormData() for _ in range(6)]
        for each in form:
            each.add_field("file", io.BytesIO(b"OggS" + bytes(2 << 20)), filename="a.ogg")
        answers = await asyncio.gather(
            *(server.post("/v1/voice/transcribe", data=each) for each in form)
        )
        assert {status for status, _, _ in answers} == {422}
        assert sum(it.name.startswith("media") for it in threading.enumerate()) <= 1
