"""Deepgram through its own SDK and this server's services, against its simulated wire."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.core.api_error import ApiError
from deepgram.listen.v1.types import ListenV1Results
from deepgram.listen.v2.types import ListenV2TurnInfo
from deepgram.speak.v1.types import SpeakV1Flushed, SpeakV1Text
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE as SHORT
from service_line import Errors, running, watched
from simulated import POINTS, simulated

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = [
    pytest.mark.peers,
    # of the vendor's SDK, which stands on the older half of websockets
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),
]

SENTENCE = "I would like to book a table for two people tomorrow evening."
CATEGORIES = {
    "401": ErrorCategory.AUTHENTICATION,
    "429": ErrorCategory.RATE_LIMIT,
    "500": ErrorCategory.SERVER,
    "drop": ErrorCategory.CONNECTIVITY,
}
RECOGNISERS = ["deepgram", "deepgram-flux"]


@pytest.fixture(scope="module")
def spoken(speech):
    """SENTENCE as it comes down a phone line."""
    from telebot.simulate.speech import Speech

    return asyncio.run(Speech(speech).say(SENTENCE, 8000)).pcm16


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["deepgram"]) as server:
        yield server


def sdk(vendor, key="simulated"):
    plain = f"{vendor.url}/deepgram"
    sockets = plain.replace("http", "ws")
    environment = DeepgramClientEnvironment(
        base=plain, production=sockets, agent=sockets, agent_rest=plain
    )
    return AsyncDeepgramClient(api_key=key, environment=environment)


# the services of this server


@pytest.mark.parametrize("name", RECOGNISERS)
async def test_a_sentence_is_recognised(vendor, spoken, name):
    async with watched(registry.build_stt(name, vendor.resources)) as call:
        await call.hear(spoken)
        final = await call.final()
        interims = call.line.sink.of(InterimTranscriptionFrame)
    assert "table for two people" in final.text.lower()
    assert final.finalized
    assert interims
    assert not call.errors


async def test_two_stretches_are_two_finals(vendor, spoken):
    async with watched(registry.build_stt("deepgram", vendor.resources)) as call:
        await call.hear(spoken)
        await call.hear(spoken)
        finals = await call.line.sink.wait_for(TranscriptionFrame, 2)
    assert [final.finalized for final in finals] == [True, True]


async def test_endpointing_of_the_vendor_cuts_no_stretch(vendor, spoken, monkeypatch):
    monkeypatch.setattr("telebot.providers.deepgram_listen.LATE_S", 60)
    spec = {"service": "deepgram", "settings": {"endpointing": 300}}
    async with watched(registry.build_stt(spec, vendor.resources)) as call:
        await call.begins()
        await call.sounds(spoken + bytes(8000) + spoken + bytes(8000))
        await call.ends()
        final = await call.final()
    assert final.text.lower().count("table for two people") == 2
    assert final.finalized


async def test_a_stretch_without_words_is_answered(vendor):
    async with watched(registry.build_stt("deepgram", vendor.resources)) as call:
        await call.hear(bytes(8000))
        (frame,) = await call.line.sink.wait_for(EmptyTranscriptFrame)
    assert frame.speech_s == pytest.approx(0.7, abs=0.1)


async def test_words_that_were_final_are_kept_where_finalize_is_not_answered(
    vendor, spoken, monkeypatch
):
    monkeypatch.setattr("telebot.providers.deepgram_listen.LATE_S", 0.05)
    vendor.fault("deepgram.stt=silence@first")
    async with watched(registry.build_stt("deepgram", vendor.resources)) as call:
        await call.begins()
        await call.sounds(spoken)
        best = {"transcript": "I would like to book", "confidence": 1.0, "words": []}
        piece = {"type": "Results", "is_final": True, "channel": {"alternatives": [best]}}
        await call.service._results(piece)
        await call.ends()
        final = await call.final()
    assert final.text == "I would like to book"
    assert not final.finalized


async def test_a_voice_speaks_mu_law_that_is_decoded(vendor, speech):
    tts = registry.build_tts("deepgram", vendor.resources)
    errors = Errors(tts)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame(SHORT))
        await line.sink.wait_for(TTSStoppedFrame)
        frames = line.sink.of(TTSAudioRawFrame)
    assert {frame.sample_rate for frame in frames} == {8000}
    heard = await speech.stt.transcribe(b"".join(frame.audio for frame in frames), 8000)
    assert "car park is behind the building" in heard.text.lower()
    assert not errors


async def test_after_an_interruption_only_the_next_reply_is_heard(vendor, speech):
    vendor.fault("deepgram.tts=latency:0.3@middle x1")
    tts = registry.build_tts("deepgram", vendor.resources)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame(f"{SENTENCE} {SENTENCE}"))
        await line.sink.wait_for(TTSAudioRawFrame)
        await line.worker.queue_frame(InterruptionFrame())
        await line.sink.wait_for(InterruptionFrame)
        line.sink.frames.clear()
        await line.worker.queue_frame(TTSSpeakFrame(SHORT))
        await line.sink.wait_for(TTSStoppedFrame)
        audio = b"".join(frame.audio for frame in line.sink.of(TTSAudioRawFrame))
    heard = (await speech.stt.transcribe(audio, 8000)).text.lower()
    assert "car park" in heard
    assert "table" not in heard


# faults


@pytest.mark.parametrize("name", RECOGNISERS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("fault", CATEGORIES)
async def test_a_recogniser_tells_its_failure_at_once(vendor, spoken, name, point, fault):
    vendor.fault(f"deepgram.stt={fault}@{point}")
    async with watched(registry.build_stt(name, vendor.resources)) as call:
        await call.hear(spoken)
        error = await call.error()
        finals = call.line.sink.of(TranscriptionFrame)
    assert error.category is CATEGORIES[fault]
    assert not call.service.is_usable
    assert "simulated" not in error.error
    assert not finals


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("fault", CATEGORIES)
async def test_a_voice_tells_its_failure_and_ends_its_reply(vendor, point, fault):
    vendor.fault(f"deepgram.tts={fault}@{point}")
    tts = registry.build_tts("deepgram", vendor.resources)
    errors = Errors(tts)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame(SHORT))
        await errors.first()
        if tts.is_usable:  # else no reply was begun
            await line.sink.wait_for(TTSStoppedFrame)
    assert errors[0].category is CATEGORIES[fault]


async def test_a_voice_may_be_silent(vendor):
    vendor.fault("deepgram.tts=silence@first")
    tts = registry.build_tts("deepgram", vendor.resources)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame(SHORT))
        await line.sink.wait_for(TTSStoppedFrame)
        audio = b"".join(frame.audio for frame in line.sink.of(TTSAudioRawFrame))
    assert audio
    assert not audio.strip(b"\x00")


async def test_a_voice_that_was_cut_speaks_again(vendor, speech):
    vendor.fault("deepgram.tts=drop@middle x1")
    tts = registry.build_tts("deepgram", vendor.resources)
    errors = Errors(tts)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame(SENTENCE))
        await errors.first()
        await line.sink.wait_for(TTSStoppedFrame)
        line.sink.frames.clear()
        await line.worker.queue_frame(TTSSpeakFrame(SHORT))
        await line.sink.wait_for(TTSStoppedFrame)
        audio = b"".join(frame.audio for frame in line.sink.of(TTSAudioRawFrame))
    assert "car park" in (await speech.stt.transcribe(audio, 8000)).text.lower()


@pytest.mark.parametrize("name", RECOGNISERS)
async def test_junk_is_a_failure(vendor, spoken, name):
    vendor.fault("deepgram.stt=garbage@first")
    async with watched(registry.build_stt(name, vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.error()).category is ErrorCategory.SERVER


@pytest.mark.parametrize("name", RECOGNISERS)
async def test_a_recogniser_that_stalls_is_left_without_waiting(vendor, spoken, name):
    vendor.fault("deepgram.stt=stall@middle")
    async with asyncio.timeout(15), watched(registry.build_stt(name, vendor.resources)) as call:
        await call.hear(spoken)
    assert not call.errors


async def test_a_voice_that_stalls_is_left_without_waiting(vendor):
    vendor.fault("deepgram.tts=stall@middle")
    async with asyncio.timeout(15), running(registry.build_tts("deepgram", vendor.resources)) as on:
        await on.worker.queue_frame(TTSSpeakFrame(SHORT))
        await on.sink.wait_for(TTSAudioRawFrame)


@pytest.mark.parametrize("name", RECOGNISERS)
async def test_a_vendor_that_is_not_there_is_told(vendor, name, unused_tcp_port):
    vendor.environ["DEEPGRAM_BASE_URL"] = f"http://127.0.0.1:{unused_tcp_port}"
    async with watched(registry.build_stt(name, vendor.resources)) as call:
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_a_vendor_that_does_not_answer_is_told_soon(vendor, monkeypatch, kind):
    monkeypatch.setattr("telebot.providers.one_socket.CONNECT_S", 0.2)
    vendor.fault(f"deepgram.{kind}=stall@connect")
    async with watched(registry.build(kind, "deepgram", vendor.resources)) as call:
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_no_key_stands_in_an_error(vendor, kind):
    vendor.environ["DEEPGRAM_API_KEY"] = "bad-canary"
    service = registry.build(kind, "deepgram", vendor.resources)
    async with watched(service) as call:
        error = await call.error()
    assert error.category is ErrorCategory.AUTHENTICATION
    assert "Invalid credentials" in error.error
    assert not any("canary" in f"{each.error}{each.exception!r}" for each in call.errors)


# the vendor's own SDK


async def test_the_sdk_hears_a_sentence(vendor, spoken):
    async with sdk(vendor).listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=8000, interim_results="true"
    ) as session:
        await session.send_media(spoken)
        await session.send_finalize()
        while not (message := await session.recv()).from_finalize:
            assert isinstance(message, ListenV1Results)
        await session.send_close_stream()
        while message.type != "Metadata":
            last, message = message, await session.recv()
    best = last.channel.alternatives[0]
    assert "table for two people" in best.transcript.lower()
    assert best.words[0].start < best.words[-1].end <= last.start + last.duration + 0.01


async def test_the_sdk_hears_a_turn(vendor, spoken):
    async with sdk(vendor).listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate="8000"
    ) as session:
        assert (await session.recv()).type == "Connected"
        for at in range(0, len(spoken), 1600):
            await session.send_media(spoken[at : at + 1600])
        await session.send_media(bytes(8000))
        events = []
        while "EndOfTurn" not in events:
            turn = await session.recv()
            assert isinstance(turn, ListenV2TurnInfo)
            events.append(turn.event)
    assert events[0] == "StartOfTurn"
    assert turn.trigger == "model"
    assert "table for two people" in turn.transcript.lower()


async def test_the_sdk_speaks(vendor, speech):
    async with sdk(vendor).speak.v1.connect(
        model="aura-2-thalia-en", encoding="mulaw", sample_rate=8000
    ) as session:
        assert (await session.recv()).type == "Metadata"
        await session.send_text(SpeakV1Text(text=SHORT))
        await session.send_flush()
        audio = b""
        while not isinstance(message := await session.recv(), SpeakV1Flushed):
            audio += message
        await session.send_close()
    heard = await speech.stt.transcribe(g711.decode(audio), 8000)
    assert "car park" in heard.text.lower()


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_the_sdk_sees_a_refusal(vendor, status):
    vendor.fault(f"deepgram.stt={status}")
    with pytest.raises(ApiError) as caught:
        async with sdk(vendor).listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate=8000
        ):
            pass
    assert caught.value.status_code == status


# names and keys, before a call


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("stt", {"service": "deepgram", "model": "nova-33"}, "did you mean 'nova-3'"),
        (
            "stt",
            {"service": "deepgram-flux", "model": "flux-general"},
            "did you mean 'flux-general",
        ),
        ("tts", {"service": "deepgram", "voice": "aura-2-talia-en"}, "mean 'aura-2-thalia-en'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, kind, spec, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe(kind, spec, vendor.resources)


@pytest.mark.parametrize(
    "spec", [("stt", "deepgram"), ("stt", "deepgram-flux"), ("tts", "deepgram")]
)
async def test_what_is_good_is_found_good(vendor, spec):
    await registry.probe(*spec, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["DEEPGRAM_API_KEY"] = "bad-canary"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("tts", "deepgram", vendor.resources)
    assert "canary" not in str(caught.value)


# what the vendor refuses

LISTEN = "v1/listen?model=nova-3&encoding=linear16&sample_rate=8000"
FLUX = "v2/listen?model=flux-general-en&encoding=linear16&sample_rate=8000"
SPEAK = "v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"
BAD_QUERIES = {
    "unknown model": "v1/listen?model=nova-9&encoding=linear16&sample_rate=8000",
    "raw audio of no known rate": "v1/listen?model=nova-3&encoding=linear16",
    "unknown encoding": "v1/listen?model=nova-3&encoding=pcm&sample_rate=8000",
    "nova at flux's address": "v2/listen?model=nova-3&encoding=linear16&sample_rate=8000",
    "threshold out of range": f"{FLUX}&eot_threshold=1.5",
    "threshold is no number": f"{FLUX}&eot_threshold=often",
    "unknown voice": "v1/speak?model=aura-9-nobody-en",
    "mu-law at 24 kHz": "v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=24000",
    "too fast": f"{SPEAK}&speed=3",
}
BAD_MESSAGES = {
    "flux: unknown message": (FLUX, '{"type": "Finalize"}', 1008),
    "flux: no JSON": (FLUX, "Finalize", 1008),
    "speak: audio": (SPEAK, b"\x00", 1008),
    "speak: text is missing": (SPEAK, '{"type": "Speak"}', 1008),
    "speak: no object": (SPEAK, "[]", 1008),
    "speak: no JSON": (SPEAK, "Flush", 1008),
}
AUTH = {"Authorization": "Token good"}


@pytest.mark.parametrize("defect", BAD_QUERIES)
async def test_a_malformed_query_is_refused(vendor, http, defect):
    url = f"{vendor.url}/deepgram/{BAD_QUERIES[defect]}"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(url, headers=AUTH)
    assert caught.value.status == 400
    assert caught.value.headers["dg-error"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "good"}, {"Authorization": "Token "}])
@pytest.mark.parametrize("path", [LISTEN, FLUX, SPEAK])
async def test_a_missing_key_is_refused(vendor, http, headers, path):
    async with http.get(f"{vendor.url}/deepgram/{path}", headers=headers) as answer:
        assert answer.status == 401
        assert (await answer.json())["err_code"] == "INVALID_AUTH"


@pytest.mark.parametrize("defect", BAD_MESSAGES)
async def test_a_malformed_message_ends_the_session(vendor, http, defect):
    path, message, code = BAD_MESSAGES[defect]
    async with http.ws_connect(f"{vendor.url}/deepgram/{path}", headers=AUTH) as socket:
        await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)
        async for answer in socket:
            assert json.loads(answer.data)["type"] in ("Connected", "Metadata", "Error")
    assert socket.close_code == code


@pytest.mark.parametrize("message", ["Finalize", '{"kind": "Finalize"}', "[]"])
async def test_a_message_nova_cannot_read_is_answered(vendor, http, message):
    async with http.ws_connect(f"{vendor.url}/deepgram/{LISTEN}", headers=AUTH) as socket:
        await socket.send_str(message)
        assert (await socket.receive_json())["variant"] == "SchemaError"
