"""ElevenLabs Agents through the vendor's own client, against the simulated conversation."""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from contextlib import suppress

import aiohttp
import httpx
import pytest
from elevenlabs import ElevenLabs
from elevenlabs.core.api_error import ApiError
from simulated import simulated
from websockets.exceptions import ConnectionClosed

from telebot.audio import g711

with warnings.catch_warnings():  # it names a deprecated class of websockets
    warnings.simplefilter("ignore", DeprecationWarning)
    from elevenlabs.conversational_ai.conversation import (
        AsyncAudioInterface,
        AsyncConversation,
        ClientTools,
        ConversationInitiationData,
    )

pytestmark = pytest.mark.peers

QUESTION = "Where can I park my car?"
QUIET = b"\xff" * 400  # 50 ms of mu-law


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["elevenlabs"]) as server:
        yield server


@pytest.fixture(scope="session")
def question(speech):
    """The caller's question as mu-law in pieces of 50 ms, with the silence that ends it."""

    async def say():
        clips = [clip async for clip in speech.tts.stream(QUESTION, rate_hz=8000)]
        return b"".join(clip.pcm16 for clip in clips)

    ulaw = QUIET * 4 + g711.encode(asyncio.run(say())) + QUIET * 10
    return [ulaw[i : i + 400] for i in range(0, len(ulaw), 400)]


class Line(AsyncAudioInterface):
    """The call's audio: what the agent says is kept."""

    def __init__(self):
        self.heard = bytearray()
        self.enough = asyncio.Event()  # four seconds of it
        self.interrupted = asyncio.Event()
        self.ready = asyncio.Event()

    async def start(self, input_callback):
        self.say = input_callback
        self.ready.set()

    async def stop(self):
        pass

    async def output(self, audio):
        self.heard += audio
        if len(self.heard) >= 4 * 8000:
            self.enough.set()

    async def interrupt(self):
        self.interrupted.set()


class Talk:
    """A conversation of the vendor's client and everything that it was told."""

    def __init__(self, vendor, agent="agent_phone", key="k"):
        self.line = Line()
        self.told: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        self.tools = ClientTools(loop=asyncio.get_running_loop())
        self.http = httpx.Client()
        url = f"{vendor.url}/elevenlabs"
        keep = self._keep
        self.client = AsyncConversation(
            ElevenLabs(api_key=key, base_url=url, httpx_client=self.http),
            agent,
            requires_auth=agent != "agent_open",
            audio_interface=self.line,
            client_tools=self.tools,
            config=ConversationInitiationData(
                conversation_config_override={"agent": {"first_message": "Good day."}}
            ),
            callback_agent_response=keep("agent"),
            callback_agent_response_correction=keep("correction"),
            callback_user_transcript=keep("user"),
            callback_disconnect=keep("over"),
        )

    def _keep(self, kind):
        async def told(*what):
            self.told.put_nowait((kind, what))

        return told

    async def next(self, kind):
        async with asyncio.timeout(20):
            while True:
                told, what = await self.told.get()
                if told == kind:
                    return what

    async def __aenter__(self):
        if self.client.requires_auth:  # the vendor's asynchronous client asks for it in the loop
            signed = await asyncio.to_thread(self.client._get_signed_url)
            self.client._get_signed_url = lambda: signed
        await self.client.start_session()
        return self

    async def __aexit__(self, *_):
        if self.client._ws is not None:  # it does not see the close behind audio it has not read
            self.client._ws.close_timeout = 0.2
        await self.client.end_session()
        with suppress(ConnectionClosed):  # its task raises what it has told already
            await self.client.wait_for_session_end()
        self.tools.thread_pool.shutdown()
        self.http.close()


@pytest.mark.parametrize("agent", ["agent_phone", "agent_open"])
async def test_an_agent_greets_and_answers(vendor, speech, question, agent):
    async with Talk(vendor, agent) as talk:
        assert await talk.next("agent") == ("Good day.",)
        await talk.line.ready.wait()
        for piece in question:
            await talk.line.say(piece)
        (heard,) = await talk.next("user")
        (answer,) = await talk.next("agent")
        assert "park" in heard.lower()
        assert answer.startswith("There is a free car park behind the building")
        await asyncio.wait_for(talk.line.enough.wait(), 20)
    said = await speech.stt.transcribe(g711.decode(bytes(talk.line.heard)), 8000)
    assert "free car park" in said.text.lower()


async def test_an_agent_is_interrupted(vendor, question):
    async with Talk(vendor) as talk:
        await talk.line.ready.wait()
        await talk.next("agent")
        await talk.client.send_user_message("When are you open?")
        (whole,) = await talk.next("agent")
        vendor.sim.answers.answer = lambda _: "Behind the house."
        for piece in question:
            await talk.line.say(piece)
        await asyncio.wait_for(talk.line.interrupted.wait(), 20)
        original, corrected = await talk.next("correction")
        assert original == whole
        assert whole.startswith(corrected)
        assert len(corrected) < len(whole)
        assert await talk.next("agent") == ("Behind the house.",)


async def test_an_agent_calls_a_tool_of_the_client(vendor):
    async with Talk(vendor) as talk:
        asked = []

        async def book(parameters):
            asked.append(parameters["request"])
            return "Your table is booked for seven."

        talk.tools.register("book_table", book, is_async=True)
        await talk.line.ready.wait()
        await talk.next("agent")
        await talk.client.send_user_message("A table for two, please.")
        assert await talk.next("agent") == ("Your table is booked for seven.",)
    assert asked == ["A table for two, please."]


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        ("401", "error", 3000),
        ("429@first", "error", 1008),
        ("500@middle", "error", 1002),
        ("drop@end", "error", 1006),
    ],
)
async def test_a_conversation_that_fails_says_how(vendor, fault, reason, code):
    vendor.fault(f"elevenlabs.realtime={fault}")
    async with Talk(vendor) as talk:
        (details,) = await talk.next("over")
    assert (details.reason, details.close_code) == (reason, code)


async def test_a_wrong_key_gets_no_signed_url(vendor):
    with httpx.Client() as http:
        client = ElevenLabs(api_key="bad", base_url=f"{vendor.url}/elevenlabs", httpx_client=http)
        get = client.conversational_ai.conversations.get_signed_url
        with pytest.raises(ApiError) as caught:
            await asyncio.to_thread(get, agent_id="agent_phone")
    assert caught.value.status_code == 401


INIT = {"type": "conversation_initiation_client_data"}
REFUSED = {
    "another agent": ("agent_id=nobody", [], 3000),
    "no signature": ("agent_id=agent_phone", [], 3000),
    "not json": ("agent_id=agent_open", ["{"], 1008),
    "begun twice": ("agent_id=agent_open", [INIT, INIT], 1008),
    "an unknown message": ("agent_id=agent_open", [INIT, {"type": "hello"}], 1008),
    "a result nobody asked for": (
        "agent_id=agent_open",
        [INIT, {"type": "client_tool_result", "tool_call_id": "1", "result": ""}],
        1008,
    ),
    "audio that is none": ("agent_id=agent_open", [INIT, {"user_audio_chunk": "?"}], 1008),
}


@pytest.mark.parametrize(("query", "messages", "code"), REFUSED.values(), ids=REFUSED)
async def test_the_vendor_refuses(vendor, query, messages, code):
    url = f"{vendor.url}/elevenlabs/v1/convai/conversation?{query}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        for message in messages:
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        async with asyncio.timeout(30):
            async for _ in socket:
                pass
        assert socket.close_code == code


async def test_the_events_come_in_the_documented_order(vendor):
    url = f"{vendor.url}/elevenlabs/v1/convai/conversation?agent_id=agent_open"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await socket.send_json(INIT)
        events = [await socket.receive_json() for _ in range(5)]
    kinds = [event["type"] for event in events]
    begins = ["conversation_initiation_metadata", "ping", "agent_response", "audio", "audio"]
    assert kinds == begins
    formats = events[0]["conversation_initiation_metadata_event"]
    assert formats["agent_output_audio_format"] == formats["user_input_audio_format"] == "ulaw_8000"
    first, second = (event["audio_event"] for event in events[3:])
    assert "".join(first["alignment"]["chars"]) == "Hello, how can I help you?"
    assert (first["event_id"], second["event_id"]) == (1, 2)
    assert len(base64.b64decode(first["audio_base_64"])) == 1600  # 0.2 s
