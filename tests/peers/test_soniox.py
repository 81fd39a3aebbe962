"""Soniox through Pipecat's service and its own SDK, against its simulated wire."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import CAUSES, POINTS, simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

KEY = "canary-1234567890"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["soniox"]) as server:
        server.environ["SONIOX_API_KEY"] = KEY
        yield server


async def test_a_caller_is_recognised_once_and_finally(vendor, spoken):
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        await ears.hear(spoken)
        await ears.line.sink.wait_for(TranscriptionFrame)
        await ears.hear(spoken)
        first, second = await ears.line.sink.wait_for(TranscriptionFrame, 2)
        assert first.text == second.text == SENTENCE
        assert first.finalized
        assert ears.line.sink.of(InterimTranscriptionFrame)
        assert not ears.errors


async def test_the_vendor_may_find_the_ends_of_utterances_itself(vendor, spoken):
    spec = {"service": "soniox", "options": {"vad_force_turn_endpoint": False}}
    async with watched(registry.build_stt(spec, vendor.resources)) as ears:
        await ears.begins()
        await ears.sounds(spoken)
        (heard,) = await ears.line.sink.wait_for(TranscriptionFrame)
        assert heard.text == SENTENCE


async def test_a_noise_without_words_is_an_empty_transcript(vendor):
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        await ears.hear(bytes(16000))
        await ears.line.sink.wait_for(EmptyTranscriptFrame)


@pytest.mark.parametrize("status", CAUSES)
@pytest.mark.parametrize("point", POINTS)
async def test_refused_ears_say_why_once_and_no_half_utterance(vendor, spoken, status, point):
    vendor.fault(f"soniox={status}@{point}")
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        if point != "connect":
            await ears.hear(spoken)
        error = await ears.error()
        assert ears.errors.categories == [CAUSES[status]]
        assert KEY not in str(error)
        assert not ears.line.sink.of(TranscriptionFrame)


@pytest.mark.parametrize("point", POINTS)
async def test_ears_that_are_cut_off_tell_once_and_hear_the_next_utterance(vendor, spoken, point):
    vendor.fault(f"soniox=drop@{point}x1")
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        if point != "connect":
            await ears.hear(spoken)
        assert (await ears.error()).category is ErrorCategory.CONNECTIVITY
        await ears.hear(spoken)
        (heard,) = await ears.line.sink.wait_for(TranscriptionFrame)
        assert heard.text == SENTENCE
        assert ears.errors.categories == [ErrorCategory.CONNECTIVITY]


@pytest.mark.parametrize("name", ["stall", "silence"])
async def test_what_hangs_does_not_hang_the_end(vendor, spoken, name):
    vendor.fault(f"soniox={name}@first")
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        await ears.hear(spoken)
        assert not ears.errors


@pytest.mark.parametrize("point", POINTS)
async def test_garbage_is_an_error_of_the_vendor(vendor, spoken, point):
    vendor.fault(f"soniox=garbage@{point}")
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        if point != "connect":
            await ears.hear(spoken)
        assert (await ears.error()).category is ErrorCategory.SERVER


async def test_a_call_starts_beside_a_vendor_that_does_not_answer(vendor):
    vendor.fault("soniox=stall@connect")
    async with watched(registry.build_stt("soniox", vendor.resources)) as one:
        assert not one.errors  # nobody has waited for the connection to fail


async def test_a_vendor_that_is_not_there_is_an_error_at_once(vendor):
    vendor.environ["SONIOX_BASE_URL"] = "http://127.0.0.1:9"
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        assert (await ears.error()).category is ErrorCategory.CONNECTIVITY
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("stt", "soniox", vendor.resources)


@pytest.mark.parametrize("model", ["stt-rt-v55", "stt-async-v5"])
async def test_a_wrong_model_is_found_by_asking(vendor, model):
    with pytest.raises(ProviderConfigError, match="did you mean 'stt-rt-v5'"):
        await registry.probe("stt", {"service": "soniox", "model": model}, vendor.resources)


async def test_asking_finds_a_wrong_key_and_nothing_wrong_with_a_good_one(vendor):
    await registry.probe("stt", "soniox", vendor.resources)
    vendor.environ["SONIOX_API_KEY"] = f"bad-{KEY}"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("stt", "soniox", vendor.resources)
    assert KEY not in str(caught.value)
    async with watched(registry.build_stt("soniox", vendor.resources)) as ears:
        assert (await ears.error()).category is ErrorCategory.AUTHENTICATION
        assert KEY not in str(ears.errors)


# the wire by hand

GOOD = {"model": "stt-rt-v5", "audio_format": "mulaw", "sample_rate": 8000, "num_channels": 1}
NOT_GOOD = {
    "no JSON": "{nothing",
    "no object": "[1]",
    "audio first": b"\xff" * 160,
    "unknown model": {**GOOD, "model": "stt-rt-v9"},
    "unknown format": {**GOOD, "audio_format": "opus9"},
    "no rate": {**GOOD, "sample_rate": None},
    "no channels": {**GOOD, "num_channels": None},
}


@pytest.mark.parametrize("defect", NOT_GOOD)
async def test_a_malformed_start_is_refused_and_the_socket_closed(vendor, http, defect):
    wrong = NOT_GOOD[defect]
    url = f"{vendor.url}/soniox/transcribe-websocket"
    async with http.ws_connect(url, headers=HEADERS) as ws:
        if isinstance(wrong, bytes):
            await ws.send_bytes(wrong)
        else:
            await ws.send_str(wrong if isinstance(wrong, str) else json.dumps(wrong))
        refused = await ws.receive_json(timeout=20)
        assert (refused["error_code"], refused["error_type"]) == (400, "invalid_request")
        assert (await ws.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == aiohttp.WSCloseCode.OK


@pytest.mark.parametrize(("key", "code"), [(None, 401), ("bad", 401), (KEY, None)])
async def test_the_key_may_still_come_with_the_start(vendor, http, key, code):
    async with http.ws_connect(f"{vendor.url}/soniox/transcribe-websocket") as ws:
        await ws.send_json({**GOOD, "api_key": key})
        await ws.send_json({"type": "keepalive"})
        await ws.send_str("")
        answer = await ws.receive_json(timeout=20)
        assert answer.get("error_code") == code
        assert answer.get("finished", False) is (code is None)


async def test_an_unknown_message_is_refused(vendor, http):
    url = f"{vendor.url}/soniox/transcribe-websocket"
    async with http.ws_connect(url, headers=HEADERS) as ws:
        await ws.send_json(GOOD)
        await ws.send_json({"type": "sing"})
        assert (await ws.receive_json(timeout=20))["error_code"] == 400


async def test_its_own_sdk_hears(vendor, spoken):
    soniox = pytest.importorskip("soniox")
    from soniox.types.realtime import RealtimeSTTConfig

    url = f"{vendor.url}/soniox"
    client = soniox.AsyncSonioxClient(
        api_key=KEY,
        api_base_url=f"{url}/v1",
        websocket_base_url=f"{url}/transcribe-websocket".replace("http", "ws"),
    )
    config = RealtimeSTTConfig(
        model="stt-rt-v5", audio_format="pcm_s16le", sample_rate=8000, num_channels=1
    )
    async with asyncio.timeout(20), client.realtime.stt.connect(config=config) as session:
        await session.send_bytes(spoken)
        await session.finalize()
        await session.finish()
        events = [event async for event in session.receive_events()]
    final = "".join(t.text for event in events for t in event.tokens if t.is_final)
    assert final == f"{SENTENCE}<fin>"
    assert events[-1].finished
