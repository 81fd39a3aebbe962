"""The gateway benchmark's upstream and load, against each other and against OpenAI's own SDK."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import gateway_load
from bench import gateway_samples as samples
from bench.gateway_upstream import KEY, Upstream
from telebot.audio import files

pytestmark = pytest.mark.peers


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Upstream, str]]:
    upstream = Upstream()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(upstream.connection, "127.0.0.1", 0)
    async with server:
        yield upstream, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    await upstream.close()


async def test_the_official_sdk_is_answered_and_what_is_wrong_refused() -> None:
    async with served() as (upstream, url):
        async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
            heard = await client.audio.transcriptions.create(
                file=("clip.wav", samples.clip()), model=samples.HEARS
            )
            assert heard.text == samples.TRANSCRIPT
            spoken = await client.audio.speech.create(
                model=samples.SPEAKS, voice=samples.VOICE, input=samples.TEXT
            )
            pcm16, rate_hz = files.decoded(await spoken.aread(), longest_s=60)
            assert len(pcm16) / 2 / rate_hz > samples.SPEECH_S - 0.2
            with pytest.raises(openai.BadRequestError, match="another text"):
                await client.audio.speech.create(
                    model=samples.SPEAKS, voice=samples.VOICE, input="x"
                )
            with pytest.raises(openai.BadRequestError, match="not the whole recording"):
                await client.audio.transcriptions.create(
                    file=("clip.wav", samples.clip()[:9000]), model=samples.HEARS
                )
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            with pytest.raises(openai.BadRequestError, match="another key"):
                await client.audio.transcriptions.create(file=b"", model=samples.HEARS)
        assert upstream.counts["refused"] == 3


@pytest.mark.parametrize("what", gateway_load.WHATS)
@pytest.mark.parametrize("rate", [None, 200.0])
async def test_the_load_asks_as_often_as_it_should(what: str, rate: float | None) -> None:
    async with served() as (upstream, url):
        load = gateway_load.Load(what, url, KEY, 4)
        await load.run(seconds=30.0, rate=rate, most=20)
        await load.close()
        tally = load.tally
        assert (tally.done, dict(tally.failures)) == (20, {})
        assert len(tally.whole_ms) == 20
        assert len(tally.passed_ms) == {"clip": 0, "mixed": 10}.get(what, 20)
        assert min(tally.passed_ms, default=0.0) >= 0.0
        assert upstream.counts["refused"] == 0


async def test_failures_are_counted_and_end_the_load() -> None:
    async with served() as (_, url):
        load = gateway_load.Load("clip", url, "another", 2)
        await load.run(seconds=30.0, rate=None, most=6)
        await load.close()
    assert sum(load.tally.failures.values()) == 6
    gone = gateway_load.Load("clip", url, KEY, 2)
    await gone.run(seconds=30.0, rate=None, most=4)
    assert dict(gone.tally.failures) == {"no connection": 4}


async def test_a_whole_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_load.gc, "freeze", lambda: None)
    monkeypatch.setattr(gateway_load.gc, "disable", lambda: None)
    async with served() as (_, url):
        asked = {"rate": None, "seconds": 30.0, "requests": 30, "warm_up": 5, "connections": 3}
        told = await gateway_load.play(
            argparse.Namespace(url=url, what="speech-pcm", key=KEY, **asked)
        )
    assert (told["requests"], told["failures"], told["passed_ms"]["n"]) == (30, {}, 30)
