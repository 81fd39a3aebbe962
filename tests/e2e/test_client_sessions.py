"""The JavaScript client with the real server, by the programs that docs/client.md shows: asked by
text in Node, spoken to through a pipe, spoken to in a page of another origin."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from application import application, browser, events, played
from band import above_db
from node import PROGRAMS, node, running
from serving import Server, free_port
from snippets import written

from telebot.providers.local_speech import LocalSpeech

pytestmark = pytest.mark.e2e

HZ = 16_000
PAGE_HZ = 48_000
PIECE_S = 0.02
PIECE = int(HZ * PIECE_S) * 2
QUESTION = "Are you open on Mondays?"
GREETED_S = 6.0  # after which the greeting is over
WITHIN_S = 60
WIDE_DB = -30.0  # of a voice above 4 kHz; a telephone's is below -45


@pytest.fixture(scope="module")
def speech() -> Iterator[LocalSpeech]:
    one = LocalSpeech()
    asyncio.run(one.load())
    yield one
    one.close()


@pytest.fixture(scope="module")
def app_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(
    config: Path, app_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One that lets the application's page in."""
    tree = yaml.safe_load(config.read_text())
    tree["voice"] = {"origins": [f"http://127.0.0.1:{app_port}"]}
    path = config.with_name("with-origins.yaml")
    path.write_text(yaml.safe_dump(tree))
    with Server(tmp_path_factory.mktemp("data"), path) as one:
        yield one


def environ(server: Server) -> dict[str, str]:
    return {"TELEBOT_URL": server.url, "TELEBOT_KEY": server.key}


async def said(speech: LocalSpeech, rate_hz: int) -> bytes:
    return b"".join([clip.pcm16 async for clip in speech.tts.stream(QUESTION, rate_hz=rate_hz)])


async def test_an_agent_is_asked_by_text(server: Server, tmp_path: Path) -> None:
    folder = written(tmp_path, server.url)
    code, wrote = await node(folder / "ask.mjs", QUESTION, **environ(server))
    assert code == 0, wrote
    told = json.loads(wrote)
    assert told["text"] == QUESTION
    assert "closed on monday" in told["reply"].lower()


async def test_the_server_does_what_the_client_may_ask_for(server: Server) -> None:
    code, wrote = await node(PROGRAMS / "messages.mjs", server.url, server.key)
    assert code == 0, wrote
    told = json.loads(wrote)
    done = ("setProvider", "setLanguage", "text", "interrupt", "reset")
    assert {name: told[name] for name in done} == {name: name for name in done}
    assert told["nobody"].startswith("refused: ")
    assert told["interrupted"] is True
    assert told["ping"] is told["heard"] is True
    assert told["providers"] == {"stt": "local", "llm": "dialog", "tts": "local"}
    assert told["unknown"] == []
    assert told["ended"] == "caller_hangup"
    assert told["again"] == "disconnected 4401"


class Pipe:
    """A telephone in the shell: what is said goes in as it is spoken, and silence else."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.heard = bytearray()
        self.lines: list[str] = []
        self._say = bytearray()
        self._told = asyncio.Event()

    def say(self, pcm16: bytes) -> None:
        self._say += pcm16

    async def until(self, beginning: str, words: str) -> str:
        """The first line that begins so and holds the words."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for line in self.lines:
                    if line.startswith(beginning) and words in line.lower():
                        return line
                self._told.clear()
                await self._told.wait()

    async def feed(self) -> None:
        assert self.process.stdin
        while True:
            piece, self._say = bytes(self._say[:PIECE]), self._say[PIECE:]
            self.process.stdin.write(piece.ljust(PIECE, b"\0"))
            await asyncio.sleep(PIECE_S)

    async def hear(self) -> None:
        assert self.process.stdout
        while piece := await self.process.stdout.read(65536):
            self.heard += piece

    async def read(self) -> None:
        assert self.process.stderr
        while line := await self.process.stderr.readline():
            self.lines.append(line.decode().strip())
            self._told.set()


async def test_an_agent_is_spoken_to_through_a_pipe(
    server: Server, speech: LocalSpeech, tmp_path: Path
) -> None:
    folder = written(tmp_path, server.url)
    async with running("talk.mjs", cwd=folder, **environ(server)) as process:
        pipe = Pipe(process)
        feeding = asyncio.create_task(pipe.feed())
        streams = [asyncio.create_task(one) for one in (pipe.hear(), pipe.read())]
        await pipe.until("bot:", "kitchen")
        pipe.say(await said(speech, HZ))
        assert "monday" in (await pipe.until("you:", "open")).lower()
        await pipe.until("bot:", "closed on monday")
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
        assert process.stdin
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0, pipe.lines
            await asyncio.gather(*streams)
    heard = (await speech.stt.transcribe(bytes(pipe.heard), HZ)).text.lower()
    assert "kitchen" in heard
    assert "closed on monday" in heard


async def test_an_agent_is_spoken_to_in_a_page(
    server: Server, speech: LocalSpeech, app_port: int, tmp_path: Path
) -> None:
    voice = await said(speech, PAGE_HZ)
    async with (
        application(server.url, server.key, port=app_port) as app,
        browser(tmp_path, (voice, PAGE_HZ), GREETED_S) as page,
    ):
        await page.go(app.url)
        await page.until("return !!window.client")
        await page.click("#talk")
        await page.until("return log.some((e) => e.event === 'turn' && e.text)")
        await page.until("return !log.findLast((e) => e.event === 'playback').playing")
        sound = await played(page)
        log = await page.script("return log")
        await page.script("return client.disconnect()")
        await page.until("return client.state === 'closed'")
    assert events(log, "error") + events(log, "failed") == []
    (ready,) = events(log, "ready")
    assert "monday" in events(log, "transcript")[-1]["text"].lower()
    heard = (await speech.stt.transcribe(sound, HZ)).text.lower()
    assert "kitchen" in heard
    assert "closed on monday" in heard
    assert above_db(sound, HZ) > WIDE_DB, "no telephone's sound"
    record = await server.record(ready["session"])
    assert record["carrier"] == "realtime"
    assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}


async def test_the_page_that_is_shown_works_as_it_is_shown(
    server: Server, app_port: int, tmp_path: Path
) -> None:
    folder = written(tmp_path, server.url)
    async with (
        running("backend.mjs", cwd=folder, PORT=str(app_port), **environ(server)),
        browser(tmp_path, None) as page,
    ):
        await page.go(f"http://127.0.0.1:{app_port}/")
        await page.click("#talk")
        await page.until("return /Bot: .*Kitchen/.test(document.getElementById('said').innerText)")
        assert await page.text("#state") == "ready"
        await page.click("#stop")
        await page.until("return document.getElementById('state').textContent === 'closed'")
