"""Speechmatics through Pipecat's service and its own SDK, against its simulated wire."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import pieces, watched
from simulated import CAUSES, POINTS, simulated
from speechmatics.agent_stt import AgentSttAsyncClient, AudioEncoding, AudioFormat
from speechmatics.rt import ConnectionError as SdkConnectionError
from speechmatics.rt import TranscriptionError, TransportError

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry

pytestmark = pytest.mark.peers

CANARY = "canary-5120"
OVER = (TranscriptionError, TransportError)  # by whether the close or the client was first


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["speechmatics"]) as server:
        server.environ["SPEECHMATICS_API_KEY"] = CANARY
        yield server


async def keep_silent(stt):
    """The line after the caller has spoken: 40 ms of silence at a time."""
    while True:
        await stt.queue_frame(InputAudioRawFrame(bytes(640), 8000, 1))
        await asyncio.sleep(0.01)


async def test_a_caller_is_recognised(vendor, spoken):
    stt = registry.build_stt("speechmatics", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        (final,) = await on.line.sink.wait_for(TranscriptionFrame)
        interim = on.line.sink.of(InterimTranscriptionFrame)
        assert not stt._client.events
    assert "car park is behind the building" in final.text.lower()
    assert final.finalized
    assert interim


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_recogniser_that_is_refused_says_why(vendor, spoken, status, point):
    vendor.fault(f"speechmatics={status}@{point}")
    stt = registry.build_stt("speechmatics", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        assert (await on.error()).category is CAUSES[status]
        assert stt.is_usable is (status != 401)


@pytest.mark.parametrize("point", POINTS)
async def test_a_recogniser_that_is_cut_off_says_so_and_comes_back(vendor, spoken, point):
    vendor.fault(f"speechmatics=drop@{point}x1")
    stt = registry.build_stt("speechmatics", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        silence = asyncio.create_task(keep_silent(stt))
        assert (await on.error()).category is ErrorCategory.CONNECTIVITY
        silence.cancel()
        await asyncio.gather(silence, return_exceptions=True)
        await on.hear(spoken)  # while another connection is being opened
        await on.line.sink.wait_for(TranscriptionFrame)
    assert len(vendor.sim.requests) == 2


async def test_a_vendor_that_stalls_does_not_hold_up_the_end(vendor, spoken):
    vendor.fault("speechmatics=stall@first")
    stt = registry.build_stt("speechmatics", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        await on.line.sink.wait_for(VADUserStoppedSpeakingFrame)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5


def client_of(vendor, key=CANARY):
    return AgentSttAsyncClient(
        api_key=key,
        url=vendor.environ["SPEECHMATICS_BASE_URL"].replace("http", "ws"),
        audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=8000),
    )


async def test_the_vendors_own_client_hears_turns(vendor, spoken):
    client = client_of(vendor)
    async with client:
        for piece in pieces(spoken):
            await client.send_audio(piece)
    assert "car park is behind the building" in client.transcript.lower()
    turn = [event.message for event in client.timeline]
    assert turn == ["SpeechStarted", "StartOfTurn", "SpeechEnded", "EndOfTurn"]


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, SdkConnectionError, "HTTP 401"),
        (429, OVER, "quota"),
        (500, OVER, "failed|job_error"),
    ],
)
async def test_the_vendors_own_client_is_refused(vendor, status, error, says):
    vendor.fault(f"speechmatics={status}")
    with pytest.raises(error, match=says):
        await client_of(vendor).connect()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"model": "linden-2"}, "Unknown model 'linden-2'"),
        ({"language": "xx"}, "Unknown language 'xx'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, spec, says):
    await registry.probe("stt", "speechmatics", vendor.resources)
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe("stt", {"service": "speechmatics", **spec}, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["SPEECHMATICS_API_KEY"] = f"bad-{CANARY}"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("stt", "speechmatics", vendor.resources)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "says"), [("429", "answers quota_exceeded"), ("drop", "cannot be asked")]
)
async def test_a_vendor_that_fails_is_no_wrong_configuration(vendor, fault, says):
    vendor.fault(f"speechmatics={fault}")
    with pytest.raises(ProviderError, match=says):
        await registry.probe("stt", "speechmatics", vendor.resources)


START = {
    "message": "StartRecognition",
    "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 8000},
    "transcription_config": {"language": "en"},
}
WIDE = {**START["audio_format"], "sample_rate": 44100}
REFUSED = {
    "not json": (["{"], "invalid_message", 1003),
    "not an object": (["[]"], "invalid_message", 1003),
    "audio first": ([b"\x00\x00"], "protocol_error", 1003),
    "an end first": ([{"message": "EndOfStream", "last_seq_no": 0}], "protocol_error", 1003),
    "started twice": ([START, START], "protocol_error", 1003),
    "no format": ([{"message": "StartRecognition"}], "invalid_message", 1003),
    "a rate it cannot hear": ([{**START, "audio_format": WIDE}], "invalid_audio_type", 1003),
    "an unknown model": (
        [{**START, "transcription_config": {"language": "en", "model": "x"}}],
        "invalid_model",
        4004,
    ),
    "an unknown mode": (
        [{**START, "turn_config": {"turn_detection_mode": "x"}}],
        "invalid_config",
        1003,
    ),
    "an unknown message": ([START, {"message": "Hello"}], "invalid_message", 1003),
    "an end without a number": ([START, {"message": "EndOfStream"}], "invalid_message", 1003),
}


@pytest.mark.parametrize(("messages", "error", "code"), REFUSED.values(), ids=REFUSED)
async def test_the_vendor_refuses(vendor, messages, error, code):
    url = f"{vendor.url}/speechmatics/v2/agent"
    said = []
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, headers={"Authorization": "Bearer k"}) as socket,
    ):
        for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                text = message if isinstance(message, str) else json.dumps(message)
                await socket.send_str(text)
        async with asyncio.timeout(30):
            async for message in socket:
                said.append(json.loads(message.data))
        assert (said[-1]["message"], said[-1]["type"]) == ("Error", error)
        assert socket.close_code == code
