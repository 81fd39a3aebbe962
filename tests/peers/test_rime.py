"""Rime through Pipecat's service, against its simulated wire."""

from __future__ import annotations

import aiohttp
import pytest
from pipecat.frames.frames import InterruptionFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import CAUSES, POINTS, simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry

pytestmark = pytest.mark.peers

KEY = "canary-1234567890"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["rime"]) as server:
        server.environ["RIME_API_KEY"] = KEY
        yield server


async def test_a_voice_speaks_with_the_times_of_its_words(vendor, speech):
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        audio = await voice.say()
        assert voice.words == SENTENCE
        assert len(await voice.say("And the lane is on the left.")) > 8000
        assert voice.words == f"{SENTENCE} And the lane is on the left."
        assert not voice.errors
    assert "car park is behind the building" in (await speech.stt.transcribe(audio, 8000)).text


async def test_after_an_interruption_only_the_new_words_are_heard(vendor, speech):
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        await voice.line.worker.queue_frame(TTSSpeakFrame(f"{SENTENCE} " * 6))
        await voice.line.sink.wait_for(TTSAudioRawFrame)
        await voice.line.worker.queue_frame(InterruptionFrame())
        await voice.line.sink.wait_for(InterruptionFrame)
        heard = await speech.stt.transcribe(await voice.say("We open at noon."), 8000)
        assert heard.text == "We open at noon."
        assert not voice.errors
        assert vendor.sim.requests == [("rime", "tts")] * 2


@pytest.mark.parametrize("status", CAUSES)
@pytest.mark.parametrize("point", POINTS)
async def test_a_refused_voice_says_why(vendor, status, point):
    vendor.fault(f"rime={status}@{point}")
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        if point != "connect":
            await voice.say()
        error = await voice.error()
        assert error.category is CAUSES[status]
        assert KEY not in str(error)


@pytest.mark.parametrize("point", POINTS)
async def test_a_voice_that_is_cut_off_tells_once_and_speaks_again(vendor, point):
    vendor.fault(f"rime=drop@{point}x1")
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        if point != "connect":
            await voice.say()
        assert (await voice.error()).category is ErrorCategory.CONNECTIVITY
        assert len(await voice.say()) > 16000
        assert voice.errors.categories.count(ErrorCategory.CONNECTIVITY) == 1


async def test_garbage_is_an_error_of_the_vendor(vendor):
    vendor.fault("rime=garbage@middle")
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        await voice.say()
        assert (await voice.error()).category is ErrorCategory.SERVER


async def test_a_refused_text_is_an_error(vendor):
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        await voice.say("Long. " * 300)
        assert (await voice.error()).category is ErrorCategory.INVALID_REQUEST


async def test_an_open_and_silent_voice_is_silence(vendor):
    vendor.fault("rime=silence@first")
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        assert set(await voice.say()) == {0}


async def test_a_voice_that_stalls_does_not_hang_the_end(vendor):
    vendor.fault("rime=stall@middle")
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        await voice.line.worker.queue_frame(TTSSpeakFrame(SENTENCE))
        await voice.line.sink.wait_for(TTSAudioRawFrame)
        assert not voice.errors


async def test_a_call_starts_beside_a_vendor_that_does_not_answer(vendor):
    vendor.fault("rime=stall@connect")
    async with watched(registry.build_tts("rime", vendor.resources)) as one:
        assert not one.errors  # nobody has waited for the connection to fail


async def test_a_vendor_that_is_not_there_is_an_error_at_once(vendor):
    vendor.environ["RIME_BASE_URL"] = "http://127.0.0.1:9"
    async with watched(registry.build_tts("rime", vendor.resources)) as voice:
        assert (await voice.error()).category is ErrorCategory.CONNECTIVITY
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("tts", "rime", vendor.resources)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"model": "codo"}, "did you mean 'coda'"),
        ({"voice": "astro"}, "did you mean 'astra'"),
        ({"model": "mistv3", "voice": "lyra"}, "no voice 'lyra'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, spec, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe("tts", {"service": "rime", **spec}, vendor.resources)


async def test_asking_finds_a_wrong_key_and_nothing_wrong_with_a_good_one(vendor):
    await registry.probe("tts", "rime", vendor.resources)
    vendor.environ["RIME_API_KEY"] = f"bad-{KEY}"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("tts", "rime", vendor.resources)
    assert KEY not in str(caught.value)


def test_a_model_that_is_gone_says_since_when(vendor):
    with pytest.raises(ProviderConfigError, match="on 2026-08-15; use coda or mistv3"):
        registry.build_tts({"service": "rime", "model": "arcana"}, vendor.resources)


@pytest.mark.parametrize(
    ("query", "headers", "says"),
    [
        ("speaker=astra", {}, "401 Missing Authorization header"),
        ("speaker=astra", {"Authorization": "Bearer "}, "401 empty apikey"),
        ("speaker=astra", {"Authorization": "Bearer bad"}, "401 invalid api key"),
        ("modelId=coda", HEADERS, "400 speaker is required"),
        ("speaker=astra&lang=xx", HEADERS, "400 Language xx is not supported for model mistv3"),
    ],
)
async def test_a_socket_is_refused_in_plain_text(vendor, http, query, headers, says):
    async with http.get(
        f"{vendor.url}/rime/ws3?{query}",
        headers={"Connection": "Upgrade", "Upgrade": "websocket", **headers},
    ) as answer:
        assert f"{answer.status} {await answer.text()}" == says


@pytest.mark.parametrize("wrong", ["{nothing", "[1]", '{"text": 5}', '{"operation": "sing"}'])
async def test_a_malformed_message_is_refused_and_the_next_one_spoken(vendor, http, wrong):
    url = f"{vendor.url}/rime/ws3?speaker=astra&modelId=coda&segment=never&audioFormat=mulaw"
    async with http.ws_connect(f"{url}&samplingRate=8000", headers=HEADERS) as ws:
        await ws.send_str(wrong)
        refused = await ws.receive_json(timeout=20)
        assert refused["type"] == "error"
        assert refused["message"]
        for text in ("Gone. ", "clear", "Hello ", "there.", "eos"):
            operation = text in ("clear", "eos")
            await ws.send_json({"operation": text} if operation else {"text": text})
        events = [message.json() async for message in ws]
    assert events[0]["word_timestamps"]["words"] == ["Hello", "there."]
    assert events[-1] == {"type": "done", "contextId": None}
    assert ws.close_code == aiohttp.WSCloseCode.OK
