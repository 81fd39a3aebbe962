"""AssemblyAI through this server's service, against its simulated wire."""

from __future__ import annotations

import asyncio
import json

import pytest
from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame
from pipecat.utils.errors import ErrorCategory
from service_line import watched
from simulated import POINTS, simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.simulate.speech import Speech

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for two people tomorrow evening."
CATEGORIES = {
    "401": ErrorCategory.AUTHENTICATION,
    "429": ErrorCategory.RATE_LIMIT,
    "500": ErrorCategory.SERVER,
    "drop": ErrorCategory.CONNECTIVITY,
}


@pytest.fixture(scope="module")
def spoken(speech):
    """SENTENCE as it comes down a phone line."""
    return asyncio.run(Speech(speech).say(SENTENCE, 8000)).pcm16


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["assemblyai"]) as server:
        yield server


async def test_a_sentence_is_recognised(vendor, spoken):
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        await call.hear(spoken)
        final = await call.final()
        interims = call.line.sink.of(InterimTranscriptionFrame)
    assert "table for two people" in final.text.lower()
    assert final.finalized
    assert interims
    assert not call.errors


async def test_a_pause_in_a_stretch_does_not_cut_it(vendor, spoken):
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        await call.begins()
        await call.sounds(spoken + bytes(8000) + spoken + bytes(8000))
        await call.ends()
        final = await call.final()
    assert final.text.lower().count("table for two people") == 2


async def test_two_stretches_are_two_finals(vendor, spoken):
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        await call.hear(spoken)
        await call.final()
        await call.hear(spoken)
        finals = await call.line.sink.wait_for(TranscriptionFrame, 2)
    assert [final.finalized for final in finals] == [True, True]


async def test_another_model_and_a_language(vendor, spoken):
    spec = {"service": "assemblyai", "model": "universal-streaming-english"}
    async with watched(registry.build_stt(spec, vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.final()).finalized
    spec = {"service": "assemblyai", "language": "de-DE"}
    assert "%5B%22de%22%5D" in registry.build_stt(spec, vendor.resources)._build_ws_url()
    with pytest.raises(ProviderConfigError, match="is no language code"):
        registry.build_stt({"service": "assemblyai", "language": "xx"}, vendor.resources)


# faults


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("fault", CATEGORIES)
async def test_it_tells_its_failure_at_once(vendor, spoken, point, fault):
    vendor.fault(f"assemblyai.stt={fault}@{point}")
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        await call.hear(spoken)
        error = await call.error()
        finals = call.line.sink.of(TranscriptionFrame)
    assert error.category is CATEGORIES[fault]
    assert not call.service.is_usable
    assert not finals


async def test_junk_is_a_failure(vendor, spoken):
    vendor.fault("assemblyai.stt=garbage@first")
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.error()).category is ErrorCategory.SERVER


async def test_one_that_stalls_is_left_without_waiting(vendor, spoken):
    vendor.fault("assemblyai.stt=stall@middle")
    async with (
        asyncio.timeout(15),
        watched(registry.build_stt("assemblyai", vendor.resources)) as call,
    ):
        await call.hear(spoken)
    assert not call.errors


async def test_a_vendor_that_is_not_there_is_told(vendor, unused_tcp_port):
    vendor.environ["ASSEMBLYAI_BASE_URL"] = f"http://127.0.0.1:{unused_tcp_port}"
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY


async def test_no_key_stands_in_an_error(vendor):
    vendor.environ["ASSEMBLYAI_API_KEY"] = "bad-canary"
    async with watched(registry.build_stt("assemblyai", vendor.resources)) as call:
        error = await call.error()
    assert error.category is ErrorCategory.AUTHENTICATION
    assert not any("canary" in f"{each.error}{each.exception!r}" for each in call.errors)


# names and keys, before a call


async def test_a_wrong_name_is_found_by_asking(vendor):
    spec = {"service": "assemblyai", "model": "universal-3-6"}
    with pytest.raises(ProviderConfigError, match="did you mean 'universal-3-6-pro'"):
        await registry.probe("stt", spec, vendor.resources)


async def test_what_is_good_is_found_good(vendor):
    await registry.probe("stt", "assemblyai", vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["ASSEMBLYAI_API_KEY"] = "bad-canary"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("stt", "assemblyai", vendor.resources)
    assert "canary" not in str(caught.value)


# what the vendor refuses

PRO = "speech_model=universal-3-6-pro&sample_rate=8000"
BAD_QUERIES = {
    "unknown model": ("speech_model=universal-9&sample_rate=8000", 3006),
    "rate is no number": ("speech_model=universal-3-6-pro&sample_rate=fast", 3006),
    "unknown encoding": (f"{PRO}&encoding=mp3", 3006),
    "unknown mode": (f"{PRO}&mode=hasty", 3006),
    "mode of another model": ("speech_model=universal-streaming-english&mode=balanced", 3006),
}
BAD_MESSAGES = {
    "audio too short": (bytes(320), 3007),
    "audio too long": (bytes(32000), 3007),
    "no JSON": ("ForceEndpoint", 3006),
    "no object": ("[]", 3006),
    "unknown type": ('{"type": "Finalize"}', 3006),
    "unknown setting": ('{"type": "UpdateConfiguration", "sample_rate": 8000}', 3006),
}
AUTH = {"Authorization": "good"}


async def ended(socket):
    """The last message before the close, and the close code."""
    last = None
    async for answer in socket:
        last = json.loads(answer.data)
    return last, socket.close_code


@pytest.mark.parametrize("defect", BAD_QUERIES)
async def test_malformed_parameters_are_refused(vendor, http, defect):
    query, code = BAD_QUERIES[defect]
    async with http.ws_connect(f"{vendor.url}/assemblyai/v3/ws?{query}", headers=AUTH) as socket:
        last, close_code = await ended(socket)
    assert (last["type"], last["error_code"], close_code) == ("Error", code, code)


@pytest.mark.parametrize("defect", BAD_MESSAGES)
async def test_a_malformed_message_ends_the_session(vendor, http, defect):
    message, code = BAD_MESSAGES[defect]
    async with http.ws_connect(f"{vendor.url}/assemblyai/v3/ws?{PRO}", headers=AUTH) as socket:
        assert (await socket.receive_json())["type"] == "Begin"
        await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)
        last, close_code = await ended(socket)
    assert (last["error_code"], close_code) == (code, code)


async def test_a_missing_key_is_refused(vendor, http):
    async with http.ws_connect(f"{vendor.url}/assemblyai/v3/ws?{PRO}") as socket:
        last, close_code = await ended(socket)
    assert (last["error_code"], close_code) == (1008, 1008)
    async with http.get(f"{vendor.url}/assemblyai/v3/token?expires_in_seconds=60") as answer:
        assert answer.status == 401


async def test_a_session_ends_in_the_documented_order(vendor, http, spoken):
    async with http.ws_connect(f"{vendor.url}/assemblyai/v3/ws?{PRO}", headers=AUTH) as socket:
        for at in range(0, len(spoken) // 800 * 800, 800):
            await socket.send_bytes(spoken[at : at + 800])
        await socket.send_json({"type": "Terminate"})
        kinds = [json.loads(answer.data)["type"] async for answer in socket]
    assert kinds[:3] == ["Begin", "SpeechStarted", "Turn"]
    assert kinds[-2:] == ["Turn", "Termination"]
    assert socket.close_code == 1000
