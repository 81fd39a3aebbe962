"""A conversation with an agent of ElevenLabs at the full band: its greeting, its turns, what is cut
off, going on after a break, and what is no message of its wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from simulated import Simulated, simulated

from telebot.audio.resample import resample
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import elevenlabs_direct, registry
from telebot.providers.direct import (
    CallerStarts,
    CallerText,
    DirectEvent,
    Manner,
    ReplyAudio,
    ReplyEnds,
    ReplyStarts,
    ReplyText,
    Used,
    failure_of,
)
from telebot.providers.elevenlabs_direct import ElevenLabsDirect
from telebot.providers.failure import Cause
from telebot.providers.resources import Resources

pytestmark = pytest.mark.peers

QUESTION = "When are you open?"
WAIT_S = 30.0
STEP_S = 0.02


@pytest.fixture
async def vendor(speech) -> AsyncIterator[Simulated]:
    async with simulated(speech, ["elevenlabs"]) as server:
        yield server


class Talk:
    """A session, and all that it says."""

    def __init__(self, session: ElevenLabsDirect) -> None:
        self.session = session
        self.said: list[DirectEvent] = []
        self.over: BaseException | None = None
        self._new = asyncio.Event()

    async def listen(self) -> None:
        try:
            async for event in self.session.events():
                self.said.append(event)
                self._new.set()
        except ProviderError as error:
            self.over = error
            self._new.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._new.clear()
                await self._new.wait()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    async def speak(self, pcm16: bytes) -> None:
        """At the pace of speech, with silence behind it."""
        step = round(self.session.rate_hz * STEP_S) * 2
        whole = pcm16 + bytes(self.session.rate_hz * 2)
        for at in range(0, len(whole), step):
            await self.session.hear(whole[at : at + step])
            await asyncio.sleep(STEP_S / 4)


@asynccontextmanager
async def talk(
    vendor: Simulated, agent: str = "agent_studio", manner: Manner | None = None, *history: Any
) -> AsyncIterator[Talk]:
    spec = {"service": "elevenlabs", "agent": agent}
    session: Any = registry.build_direct(spec, vendor.resources)
    one = Talk(session)
    await session.open(manner or Manner("Be kind."), history)
    task = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await session.close()
        await session.close()  # idempotent


async def question(speech: Any, rate_hz: int) -> bytes:
    clips = [clip.pcm16 async for clip in speech.tts.stream(QUESTION, rate_hz=16_000)]
    return resample(b"".join(clips), 16_000, rate_hz)


@pytest.mark.parametrize(
    ("agent", "rate_hz"), [("agent_studio", 24_000), ("agent_wide", 16_000), ("agent_phone", 8000)]
)
async def test_it_greets_hears_and_answers(vendor, speech, agent, rate_hz):
    async with talk(vendor, agent) as one:
        assert one.session.rate_hz == rate_hz
        await one.until(lambda: len(one.of(ReplyEnds)) == 1)
        assert "help" in one.of(ReplyText)[0].text
        await one.speak(await question(speech, rate_hz))
        await one.until(lambda: len(one.of(ReplyEnds)) == 2)
        [heard] = one.of(CallerText)
        assert heard.final
        assert "open" in heard.text.lower()
        assert len(one.of(CallerStarts)) == 1
        assert len(one.of(ReplyStarts)) == 2
        answer = one.said[one.said.index(heard) :]
        pcm16 = b"".join(event.pcm16 for event in answer if isinstance(event, ReplyAudio))
        at_16k = resample(pcm16, rate_hz, 16_000)
        assert "tuesday" in (await speech.stt.transcribe(at_16k, 16_000)).text.lower()
        assert sum(used.quantity for used in one.of(Used)) > 0
        assert {used.unit for used in one.of(Used)} == {"s"}


async def test_a_typed_turn_ends_what_is_being_said(vendor):
    async with talk(vendor) as one:
        await one.until(lambda: bool(one.of(ReplyAudio)))
        await one.session.say("Where can I park my car?")
        await one.until(lambda: any("park" in each.text for each in one.of(ReplyText)))
        await one.until(lambda: isinstance(one.said[-1], ReplyEnds))
        assert one.over is None


async def test_who_was_talked_with_is_not_greeted_again(vendor):
    before = ({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."})
    async with talk(vendor, "agent_studio", Manner(language="de-DE"), *before) as one:
        await one.session.say("Where can I park my car?")
        await one.until(lambda: bool(one.of(ReplyEnds)))
        assert all("help" not in each.text for each in one.of(ReplyText))
        assert len(one.of(ReplyStarts)) == 1


async def test_an_answer_that_is_cut_is_not_handed_on(vendor):
    async with talk(vendor) as one:
        await one.until(lambda: bool(one.of(ReplyStarts)))
        one.session.cut(0.1)
        much = len(one.of(ReplyAudio))
        await one.session.change(Manner("Be short."))
        await one.session.say("Where can I park my car?")
        await one.until(lambda: len(one.of(ReplyStarts)) == 2)
        begun = one.said.index(one.of(ReplyStarts)[1])
        assert len([e for e in one.said[:begun] if isinstance(e, ReplyAudio)]) <= much + 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("401@connect", Cause.REFUSED), ("429@connect", Cause.RATE_LIMIT), ("500@connect", None)],
)
async def test_why_one_cannot_be_opened(vendor, fault, cause):
    vendor.fault(f"elevenlabs.realtime={fault}")
    vendor.sim.faults.on *= 4
    found = None
    try:
        async with talk(vendor) as one:  # a refusal may come behind the handshake
            await one.until(lambda: one.over is not None)
            found = one.over
    except ProviderError as error:
        found = error
    assert found is not None
    assert cause in (None, failure_of(found).cause)


@pytest.mark.parametrize("fault", ["drop@middle", "stall@middle", "garbage@middle"])
async def test_an_answer_that_breaks_off_ends_the_session(vendor, fault):
    async with talk(vendor) as one:
        await one.until(lambda: bool(one.of(ReplyEnds)))
        vendor.fault(f"elevenlabs.realtime={fault}")
        await one.session.say(QUESTION)
        await one.until(lambda: one.over is not None)


async def test_an_agent_must_be_named(vendor):
    with pytest.raises(ProviderConfigError, match="agent_"):
        registry.build_direct("elevenlabs", vendor.resources)
    named = {"service": "elevenlabs", "model": "agent_studio"}
    assert registry.build_direct(named, vendor.resources)


META = {
    "type": "conversation_initiation_metadata",
    "conversation_initiation_metadata_event": {
        "agent_output_audio_format": "pcm_24000", "user_input_audio_format": "pcm_16000",
    },
}  # fmt: skip


@asynccontextmanager
async def saying(
    *messages: Any,
) -> AsyncIterator[tuple[ElevenLabsDirect, list[dict], asyncio.Event]]:
    """A session whose vendor says just this, what it is told, and when it was told that a tool is
    none of ours."""
    told: list[dict] = []
    answered = asyncio.Event()

    async def signed(request: web.Request) -> web.Response:
        return web.json_response({"signed_url": f"ws://{request.host}/talk"})

    async def conversation(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        told.append(await socket.receive_json())
        for message in messages:
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                told.append(json.loads(message.data))
                if told[-1].get("type") == "client_tool_result":
                    answered.set()
        return socket

    app = web.Application()
    app.router.add_get("/v1/convai/conversation/get-signed-url", signed)
    app.router.add_get("/talk", conversation)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    resources = Resources(None, {"ELEVENLABS_API_KEY": "k", "ELEVENLABS_BASE_URL": url})
    options = {"agent": "agent_x", "voice": "anna", "overrides": {"agent": {"first_message": "Hi"}}}
    session = elevenlabs_direct.build(options, resources)
    try:
        yield session, told, answered
    finally:
        await session.close()
        await resources.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        {"type": "audio"},
        {"type": "audio", "audio_event": {"audio_base_64": "/", "event_id": 1}},
        {"type": "audio", "audio_event": {"audio_base_64": "AAAA", "event_id": "one"}},
        {"type": "agent_response", "agent_response_event": []},
        {"type": "user_transcript"},
        {"type": "interruption", "interruption_event": {"event_id": "all"}},
        "[" * 100_000,
    ],
)
async def test_junk_is_the_vendors_failure(message):
    async with saying(META, message) as (session, _, _):
        await session.open(Manner(), [])
        with pytest.raises(ProviderError):
            async for _event in session.events():
                pass


async def test_what_it_cannot_speak_is_said_at_once():
    wrong = json.loads(json.dumps(META).replace("pcm_24000", "opus"))
    async with saying(wrong) as (session, _, _):
        with pytest.raises(ProviderError, match="console"):
            await session.open(Manner(), [])


async def test_what_it_is_told():
    ping = {"type": "ping", "ping_event": {"event_id": 7}}
    call = {"type": "client_tool_call",
            "client_tool_call": {"tool_name": "weather", "tool_call_id": "c1"}}  # fmt: skip
    async with saying(META, ping, call) as (session, told, answered):
        await session.open(Manner("Be kind.", language="de-DE"), [])

        async def listen() -> None:
            async for _event in session.events():
                pass

        listening = asyncio.create_task(listen())
        async with asyncio.timeout(WAIT_S):
            await answered.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    begin, context, *rest = told
    assert begin["conversation_config_override"] == {
        "agent": {"first_message": "Hi"}, "tts": {"voice_id": "anna"},
    }  # fmt: skip
    assert context["type"] == "contextual_update"
    assert "Be kind." in context["text"]
    assert "de-DE" in context["text"]
    assert {"type": "pong", "event_id": 7} in rest
    assert rest[-1]["is_error"]
