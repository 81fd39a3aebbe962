"""Cartesia through Pipecat's services and its own SDK, against its simulated wire."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import CAUSES, POINTS, simulated

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

KEY = "canary-1234567890"
VOICE = "f786b574-daa5-4673-aa0c-cbe3e8534c02"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["cartesia"]) as server:
        server.environ["CARTESIA_API_KEY"] = KEY
        yield server


async def test_a_voice_speaks_with_the_times_of_its_words(vendor, speech):
    async with watched(registry.build_tts("cartesia", vendor.resources)) as voice:
        audio = await voice.say()
        assert voice.words == SENTENCE
        assert not voice.errors
    assert "car park is behind the building" in (await speech.stt.transcribe(audio, 8000)).text


async def test_a_caller_is_recognised_once_and_finally(vendor, spoken):
    async with watched(registry.build_stt("cartesia", vendor.resources)) as ears:
        await ears.hear(spoken)
        await ears.line.sink.wait_for(TranscriptionFrame)
        await ears.hear(spoken)
        first, second = await ears.line.sink.wait_for(TranscriptionFrame, 2)
        assert first.text == second.text == SENTENCE
        assert first.finalized
        assert ears.line.sink.of(InterimTranscriptionFrame)
        assert not ears.errors


async def test_a_noise_without_words_is_an_empty_transcript(vendor):
    async with watched(registry.build_stt("cartesia", vendor.resources)) as ears:
        await ears.hear(bytes(16000))
        await ears.line.sink.wait_for(EmptyTranscriptFrame)


@pytest.mark.parametrize("status", CAUSES)
@pytest.mark.parametrize("point", POINTS)
async def test_a_refused_voice_says_why(vendor, status, point):
    vendor.fault(f"cartesia.tts={status}@{point}")
    async with watched(registry.build_tts("cartesia", vendor.resources)) as voice:
        if point != "connect":
            await voice.say()
        error = await voice.error()
        assert error.category is CAUSES[status]
        assert KEY not in str(error)


@pytest.mark.parametrize("status", CAUSES)
@pytest.mark.parametrize("point", POINTS)
async def test_refused_ears_say_why(vendor, spoken, status, point):
    vendor.fault(f"cartesia.stt={status}@{point}")
    async with watched(registry.build_stt("cartesia", vendor.resources)) as ears:
        if point != "connect":
            await ears.hear(spoken)
        error = await ears.error()
        assert error.category is CAUSES[status]
        assert KEY not in str(error)
        assert not ears.line.sink.of(TranscriptionFrame)


@pytest.mark.parametrize("point", POINTS)
async def test_a_voice_that_is_cut_off_tells_once_and_speaks_again(vendor, point):
    vendor.fault(f"cartesia.tts=drop@{point}x1")
    async with watched(registry.build_tts("cartesia", vendor.resources)) as voice:
        if point != "connect":
            await voice.say()
        assert (await voice.error()).category is ErrorCategory.CONNECTIVITY
        assert len(await voice.say()) > 16000
        connectivity = [c for c in voice.errors.categories if c is ErrorCategory.CONNECTIVITY]
        assert len(connectivity) == 1


@pytest.mark.parametrize("point", POINTS)
async def test_ears_that_are_cut_off_tell_once_and_hear_the_next_utterance(vendor, spoken, point):
    vendor.fault(f"cartesia.stt=drop@{point}x1")
    async with watched(registry.build_stt("cartesia", vendor.resources)) as ears:
        if point != "connect":
            await ears.hear(spoken)
        assert (await ears.error()).category is ErrorCategory.CONNECTIVITY
        await ears.hear(spoken)
        (heard,) = await ears.line.sink.wait_for(TranscriptionFrame)
        assert heard.text == SENTENCE
        assert ears.errors.categories == [ErrorCategory.CONNECTIVITY]


@pytest.mark.parametrize("kind", ["stt", "tts"])
@pytest.mark.parametrize("name", ["stall", "silence"])
async def test_what_hangs_does_not_hang_the_end(vendor, spoken, kind, name):
    vendor.fault(f"cartesia.{kind}={name}@first")
    service = registry.build(kind, "cartesia", vendor.resources)
    async with watched(service) as one:
        if kind == "stt":
            await one.hear(spoken)
        elif name == "silence":
            assert set(await one.say()) == {0}
        assert not one.errors


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_garbage_is_an_error_of_the_vendor(vendor, spoken, kind):
    vendor.fault(f"cartesia.{kind}=garbage@middle")
    service = registry.build(kind, "cartesia", vendor.resources)
    async with watched(service) as one:
        await (one.hear(spoken) if kind == "stt" else one.say())
        assert (await one.error()).category is ErrorCategory.SERVER


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_a_call_starts_beside_a_vendor_that_does_not_answer(vendor, kind):
    vendor.fault("cartesia=stall@connect")
    async with watched(registry.build(kind, "cartesia", vendor.resources)) as one:
        assert not one.errors  # nobody has waited for the connection to fail


async def test_a_vendor_that_is_not_there_is_an_error_at_once(vendor):
    vendor.environ["CARTESIA_BASE_URL"] = "http://127.0.0.1:9"
    for kind in ("stt", "tts"):
        async with watched(registry.build(kind, "cartesia", vendor.resources)) as one:
            assert (await one.error()).category is ErrorCategory.CONNECTIVITY


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("tts", {"model": "sonic-3.55"}, "did you mean 'sonic-3.5'"),
        ("tts", {"voice": VOICE.replace("f", "e")}, "no voice"),
        ("tts", {"voice": "katie"}, "no voice 'katie'"),
        ("stt", {"model": "ink-3"}, "did you mean 'ink-2'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, kind, spec, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe(kind, {"service": "cartesia", **spec}, vendor.resources)


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_asking_finds_a_wrong_key_and_nothing_wrong_with_a_good_one(vendor, kind):
    await registry.probe(kind, "cartesia", vendor.resources)
    vendor.environ["CARTESIA_API_KEY"] = f"bad-{KEY}"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe(kind, "cartesia", vendor.resources)
    assert KEY not in str(caught.value)
    vendor.environ["CARTESIA_BASE_URL"] = "http://127.0.0.1:9"
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe(kind, "cartesia", vendor.resources)


async def test_another_language_is_heard_by_the_model_that_knows_it(vendor):
    german = registry.build_stt({"service": "cartesia", "language": "de"}, vendor.resources)
    english = registry.build_stt("cartesia", vendor.resources)
    assert (german.settings.model, english.settings.model) == ("ink-whisper", "ink-2")


# the wire by hand

GOOD = {
    "context_id": "one",
    "model_id": "sonic-3.5",
    "transcript": "Hello.",
    "voice": {"mode": "id", "id": VOICE},
    "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
    "continue": False,
}
NOT_GOOD = {
    "no JSON": "{nothing",
    "no object": "[1]",
    "no context": {**GOOD, "context_id": ""},
    "no text": {**GOOD, "transcript": None},
    "unknown model": {**GOOD, "model_id": "sonic-9"},
    "unknown voice": {**GOOD, "voice": {"mode": "id", "id": "nobody"}},
    "voice without mode": {**GOOD, "voice": {"id": VOICE}},
    "unknown container": {**GOOD, "output_format": {**GOOD["output_format"], "container": "mp4"}},
    "odd rate": {**GOOD, "output_format": {**GOOD["output_format"], "sample_rate": 8001}},
}
HEADERS = {"Authorization": f"Bearer {KEY}", "Cartesia-Version": "2026-03-01"}


@pytest.mark.parametrize("defect", NOT_GOOD)
async def test_a_malformed_request_is_refused_and_the_next_one_spoken(vendor, http, defect):
    wrong = NOT_GOOD[defect]
    async with http.ws_connect(f"{vendor.url}/cartesia/tts/websocket", headers=HEADERS) as ws:
        await ws.send_str(wrong if isinstance(wrong, str) else json.dumps(wrong))
        refused = await ws.receive_json(timeout=20)
        assert refused["type"] == "error"
        assert refused["status_code"] in (400, 404)
        assert refused["done"]
        await ws.send_json(GOOD)
        kinds = []
        while not kinds or kinds[-1] != "done":
            event = await ws.receive_json(timeout=20)
            kinds.append(event["type"])
            if event["type"] == "chunk":
                assert g711.decode(base64.b64decode(event["data"]))
        assert set(kinds) == {"chunk", "done"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("tts/websocket", {}, 401),
        ("tts/websocket", {"X-API-Key": "bad"}, 401),
        ("tts/websocket", {"X-API-Key": KEY}, 400),  # no version
        ("stt/websocket?model=ink-2&encoding=pcm_mulaw", HEADERS, 400),
        ("stt/websocket?model=ink-2&encoding=opus&sample_rate=8000", HEADERS, 400),
    ],
)
async def test_a_socket_is_refused_at_the_door(vendor, http, path, headers, status):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{vendor.url}/cartesia/{path}", headers=headers)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("query", "said", "code"),
    [
        ("model=ink-9", None, "model_not_found"),
        ("model=ink-2&language=de", None, "invalid_language"),
        ("model=ink-2", "nonsense", "invalid_command"),
    ],
)
async def test_ears_refuse_what_they_do_not_know(vendor, http, query, said, code):
    url = f"{vendor.url}/cartesia/stt/websocket?encoding=pcm_s16le&sample_rate=8000&{query}"
    async with http.ws_connect(url, headers=HEADERS) as ws:
        if said:
            await ws.send_str(said)
        refused = await ws.receive_json(timeout=20)
        assert (refused["type"], refused["error_code"]) == ("error", code)
        assert (await ws.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE


async def test_its_own_sdk_speaks(vendor, speech):
    cartesia = pytest.importorskip("cartesia")
    async with (
        cartesia.AsyncCartesia(
            api_key=KEY, websocket_base_url=f"{vendor.url}/cartesia".replace("http", "ws")
        ) as client,
        client.tts.websocket_connect() as connection,
    ):
        form = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}
        context = connection.context(
            model_id="sonic-3.5", voice={"mode": "id", "id": VOICE}, output_format=form
        )
        for part in ("The car park is ", "behind ", "the building."):
            await context.push(part)
        await context.no_more_inputs()
        audio = [r.audio async for r in context.receive() if r.type == "chunk"]
    heard = await speech.stt.transcribe(b"".join(audio), 8000)
    assert "car park is behind the building" in heard.text


async def test_its_own_sdk_hears(vendor, spoken):
    cartesia = pytest.importorskip("cartesia")
    async with (
        cartesia.AsyncCartesia(api_key=KEY, base_url=f"{vendor.url}/cartesia") as client,
        client.stt.manual_finalize.websocket(
            model="ink-2", encoding="pcm_s16le", sample_rate=8000
        ) as connection,
        asyncio.timeout(20),
    ):
        await connection.send_raw(spoken)
        await connection.send("finalize")
        await connection.send("close")
        events = [event async for event in connection]
    text = "".join(e.text for e in events if e.type == "transcript" and e.is_final)
    assert text == SENTENCE
    assert [e.type for e in events][-2:] == ["flush_done", "done"]
