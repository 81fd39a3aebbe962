"""Recognition by OpenAI, streamed and by files, against its simulated wire."""

from __future__ import annotations

import asyncio
import base64
import json

import openai
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from service_line import CANARY, DOWN, STOP_S, caller, watched
from simulated import simulated
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from telebot.audio import g711
from telebot.audio.wav import written
from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

SENTENCE = "I would like to book a table for four people."
KINDS = {401: "authentication", 429: "rate_limit", 500: "server"}
STREAMED, FILES = "openai", "openai-whisper"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai"]) as server:
        yield server


@pytest.fixture
async def sdk(vendor):
    async with openai.AsyncOpenAI(
        api_key="k", base_url=vendor.environ["OPENAI_BASE_URL"], max_retries=0
    ) as client:
        yield client


@pytest.fixture(scope="module")
def sentence(speech):
    return asyncio.run(caller(speech, SENTENCE))


# --- a call ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", [STREAMED, FILES, {"service": STREAMED, "model": "gpt-transcribe"}]
)
async def test_two_utterances_are_recognised(vendor, sentence, speech, spec):
    stt = registry.build_stt(spec, vendor.resources)
    second = await caller(speech, "Thank you very much.")
    async with watched(stt) as on:
        await on.hear(sentence)
        await on.line.sink.wait_for(TranscriptionFrame)
        await on.hear(second)
        texts = await on.line.sink.wait_for(TranscriptionFrame, 2)
        assert all(frame.finalized for frame in texts)
        assert "book a table for four" in texts[0].text.lower()
        assert "thank you" in texts[1].text.lower()
        if spec == STREAMED:
            interims = [f.text for f in on.line.sink.of(InterimTranscriptionFrame)]
            assert len(interims) > 3
            assert texts[0].text.startswith(interims[2])
    assert not on.errors


@pytest.mark.parametrize("spec", [STREAMED, FILES])
async def test_an_utterance_without_words_is_answered(vendor, spec):
    stt = registry.build_stt(spec, vendor.resources)
    async with watched(stt) as on:
        await on.hear(bytes(16000))
        (empty,) = await on.line.sink.wait_for(EmptyTranscriptFrame)
        assert not empty.failed
        assert empty.speech_s == pytest.approx(1.0 + STOP_S, abs=0.1)
    assert not on.errors


async def test_silence_is_not_sent(vendor, sentence):
    stt = registry.build_stt(STREAMED, vendor.resources)
    async with watched(stt) as on:
        for _ in range(100):
            await stt.process_audio_frame(InputAudioRawFrame(bytes(640), 8000, 1), DOWN)
        await on.hear(sentence)
        (text,) = await on.line.sink.wait_for(TranscriptionFrame)
        assert "table for four" in text.text
        sent_s = text.result["usage"]["seconds"]
        assert sent_s == pytest.approx(len(sentence) / 16000 + 0.6 + STOP_S, abs=0.05)


async def test_a_sound_too_short_to_commit_is_answered(vendor):
    stt = registry.build_stt(STREAMED, vendor.resources)
    async with watched(stt) as on:
        await on.hear(bytes(640))
        await on.line.sink.wait_for(EmptyTranscriptFrame)
    assert not on.errors


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [STREAMED, FILES])
@pytest.mark.parametrize("status", [401, 429, 500])
@pytest.mark.parametrize("point", ["connect", "first", "end"])
async def test_a_refusal_is_an_error_of_its_kind(vendor, sentence, spec, status, point):
    vendor.fault(f"openai.stt={status}@{point}")
    stt = registry.build_stt(spec, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert await on.errors.category() == KINDS[status]
        (lost, *_) = await on.line.sink.wait_for(EmptyTranscriptFrame)
        assert lost.failed
    assert len(on.errors) == 1
    assert len(vendor.sim.requests) == 1


@pytest.mark.parametrize("spec", [STREAMED, FILES])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [("drop@connect", "connectivity"), ("drop@first", "connectivity"),
     ("drop@middle", "connectivity"), ("drop@end", "connectivity"), ("garbage@connect", "server"),
     ("garbage@middle", "server"), ("garbage@end", "server")],
)  # fmt: skip
async def test_a_broken_connection_is_an_error_of_its_kind(vendor, sentence, spec, fault, kind):
    vendor.fault(f"openai.stt={fault}")
    stt = registry.build_stt(spec, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert await on.errors.category() == kind
        (lost, *_) = await on.line.sink.wait_for(EmptyTranscriptFrame)
        assert lost.failed
    assert len(on.errors) == 1


@pytest.mark.parametrize("spec", [STREAMED, FILES])
@pytest.mark.parametrize(
    "fault", ["stall@connect", "stall@first", "stall@end", "silence@first", "slow_reader@connect"]
)
async def test_a_vendor_that_says_nothing_can_be_given_up(vendor, sentence, spec, fault):
    vendor.fault(f"openai.stt={fault}")
    stt = registry.build_stt(spec, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert not on.line.sink.of(TranscriptionFrame)
    assert not on.errors


async def test_nothing_is_sent_to_a_socket_that_broke(vendor, sentence):
    vendor.fault("openai.stt=drop@first")
    stt = registry.build_stt(STREAMED, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        await on.errors.first()
        await on.hear(sentence)
        lost = await on.line.sink.wait_for(EmptyTranscriptFrame, 2)
        assert all(frame.failed for frame in lost)
    assert len(on.errors) == 1


async def test_a_vendor_that_is_not_there_is_a_fault_of_the_connection(vendor, sentence):
    vendor.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    stt = registry.build_stt(STREAMED, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert await on.errors.category() == "connectivity"


@pytest.mark.parametrize("spec", [STREAMED, FILES])
async def test_no_error_shows_a_key(vendor, sentence, spec):
    vendor.environ["OPENAI_API_KEY"] = CANARY
    stt = registry.build_stt(spec, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert await on.errors.category() == "authentication"


async def test_a_session_that_is_refused_is_an_invalid_request(vendor, sentence):
    stt = registry.build_stt({"service": STREAMED, "model": "gpt-0"}, vendor.resources)
    async with watched(stt) as on:
        await on.hear(sentence)
        assert await on.errors.category() == "invalid_request"


def test_a_model_that_only_streams_takes_no_files(vendor):
    with pytest.raises(ProviderConfigError, match="write `stt: openai`"):
        registry.build_stt({"service": FILES, "model": "gpt-live-transcribe"}, vendor.resources)


# --- files -------------------------------------------------------------------------------------


async def test_the_sdk_gets_every_form_of_transcript(sdk, sentence):
    file = ("a.wav", written(sentence, 8000), "audio/wav")
    create = sdk.audio.transcriptions.create
    short = await create(file=file, model="gpt-transcribe")
    assert "table for four" in short.text
    assert short.usage.type == "tokens"
    assert await create(file=file, model="whisper-1", response_format="text") == f"{short.text}\n"
    long = await create(
        file=file,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert long.duration == pytest.approx(len(sentence) / 16000)
    assert " ".join(word.word for word in long.words) == long.text == short.text
    stream = await create(file=file, model="gpt-transcribe", stream=True)
    events = [event async for event in stream]
    assert "".join(e.delta for e in events[:-1]) == events[-1].text == short.text


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"file": None}, 400, "missing_required_parameter"),
        ({"model": None}, 400, "missing_required_parameter"),
        ({"model": "gpt-0"}, 404, "model_not_found"),
        ({"file": ("a.wav", b"no sound", "audio/wav")}, 400, "invalid_value"),
        ({"file": ("a.wav", written(bytes(160), 8000), "audio/wav")}, 400, "audio_too_short"),
        ({"response_format": "verbose_json"}, 400, "invalid_value"),
        ({"language": "english"}, 400, "invalid_language_format"),
        ({"temperature": "hot"}, 400, "invalid_value"),
    ],
)
async def test_a_malformed_form_is_refused(sdk, form, status, code):
    fields = {"file": ("a.wav", written(bytes(3200), 8000), "audio/wav"), "model": "gpt-transcribe"}
    fields = {name: value for name, value in {**fields, **form}.items() if value is not None}
    file = fields.pop("file", None)
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.post(
            "/audio/transcriptions",
            cast_to=object,
            body=fields,
            files={"file": file} if file else {"x": ("x", b"")},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
    assert caught.value.status_code == status
    assert caught.value.code == code


# --- the socket --------------------------------------------------------------------------------


class Peer:
    """A client that says what it wants."""

    def __init__(self, ws) -> None:
        self.ws = ws

    async def say(self, kind: str, **fields) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def configure(self, **heard) -> dict:
        await self.say(
            "session.update", session={"type": "transcription", "audio": {"input": heard}}
        )
        return await self.next()

    async def audio(self, pcm16: bytes) -> None:
        mulaw = g711.encode(pcm16)
        for i in range(0, len(mulaw), 800):
            payload = base64.b64encode(mulaw[i : i + 800]).decode()
            await self.say("input_audio_buffer.append", audio=payload)

    async def next(self) -> dict:
        return json.loads(await self.ws.recv())

    async def until(self, kind: str) -> list[dict]:
        events = [await self.next()]
        while events[-1]["type"] != kind:
            events.append(await self.next())
        return events


@pytest.fixture
async def peer(vendor):
    url = f"{vendor.environ['OPENAI_BASE_URL'].replace('http', 'ws')}/realtime?intent=transcription"
    async with connect(url, additional_headers={"Authorization": "Bearer k"}) as ws:
        peer = Peer(ws)
        created = await peer.next()
        assert created["type"] == "session.created"
        assert created["session"]["type"] == "transcription"
        yield peer


MULAW = {"type": "audio/pcmu"}
LIVE = {"format": MULAW, "transcription": {"model": "gpt-live-transcribe"}, "turn_detection": None}
ITEM = "conversation.item"


async def test_events_come_in_their_order(peer, sentence):
    updated = await peer.configure(**LIVE)
    assert updated["session"]["audio"]["input"]["format"] == MULAW
    await peer.audio(sentence)
    await peer.say("input_audio_buffer.commit")
    events = await peer.until(f"{ITEM}.input_audio_transcription.completed")
    kinds = [event["type"] for event in events]
    deltas = [e["delta"] for e in events if e["type"].endswith(".delta")]
    assert [kind for kind in dict.fromkeys(kinds) if not kind.endswith(".delta")] == [
        "input_audio_buffer.committed",
        f"{ITEM}.added",
        f"{ITEM}.done",
        f"{ITEM}.input_audio_transcription.completed",
    ]
    assert kinds.index(f"{ITEM}.input_audio_transcription.delta") == 0  # before it is over
    assert "table for four" in "".join(deltas)
    assert len({event["item_id"] for event in events if "item_id" in event}) == 1


async def test_the_server_finds_the_turns_of_a_model_that_can(peer, sentence):
    turns = {"type": "server_vad"}
    await peer.configure(**{**LIVE, "transcription": {"model": "gpt-transcribe"},
                            "turn_detection": turns})  # fmt: skip
    await peer.audio(sentence + bytes(8000))
    events = await peer.until(f"{ITEM}.input_audio_transcription.completed")
    assert [event["type"] for event in events[:3]] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    assert "table for four" in events[-1]["transcript"]


async def test_audio_before_the_session_is_configured_is_forgotten(peer, sentence):
    await peer.audio(sentence)
    await peer.configure(**LIVE)
    await peer.say("input_audio_buffer.commit")
    assert (await peer.next())["error"]["code"] == "input_audio_buffer_commit_empty"


MALFORMED = {
    "no json": ("{", "invalid_json", None),
    "bytes": (b"\x00", "invalid_event", None),
    "unknown event": ({"type": "hello"}, "invalid_value", "type"),
    "no event": ([1], "invalid_value", "type"),
    "another session's event": ({"type": "response.create"}, "invalid_value", "type"),
    "no session": ({"type": "session.update"}, "missing_required_parameter", "session"),
    "another session's type": (
        {"type": "session.update", "session": {"type": "realtime"}}, "invalid_value",
        "session.type"),
    "unknown parameter": (
        {"type": "session.update", "session": {"type": "transcription", "audio": {"output": {}}}},
        "unknown_parameter", "session.audio.output"),
    "no audio": ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_value", "audio"),
    "empty commit": (
        {"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_event_is_refused_and_the_session_stays(peer, case):
    sent, code, param = MALFORMED[case]
    await peer.ws.send(sent if isinstance(sent, str | bytes) else json.dumps(sent))
    event = await peer.next()
    assert event["type"] == "error"
    assert (event["error"]["code"], event["error"]["param"]) == (code, param)
    assert (await peer.configure(**LIVE))["type"] == "session.updated"


@pytest.mark.parametrize(
    ("heard", "param"),
    [
        ({"format": {"type": "audio/mp3"}}, "format.type"),
        ({"format": {"type": "audio/pcm", "rate": 8000}}, "format.rate"),
        ({"transcription": {"model": "gpt-0"}}, "transcription.model"),
        ({"transcription": {"model": "whisper-1", "language": "en-US"}}, "transcription.language"),
        ({**LIVE, "turn_detection": {"type": "server_vad"}}, "turn_detection"),
        ({"transcription": {"model": "gpt-realtime-whisper", "prompt": "x"}},
         "transcription.prompt"),
    ],
)  # fmt: skip
async def test_a_session_that_cannot_be_is_refused(peer, heard, param):
    error = (await peer.configure(**heard))["error"]
    assert error["param"] == f"session.audio.input.{param}"


@pytest.mark.parametrize(
    ("query", "headers", "code", "close"),
    [
        ("?intent=transcription", {"Authorization": "Bearer bad"}, "invalid_api_key", 3000),
        ("?intent=transcription", {}, "invalid_api_key", 3000),
        ("?intent=transcription", {"Authorization": "Bearer k", "OpenAI-Beta": "realtime=v1"},
         "beta_api_shape_disabled", 4000),
        ("", {"Authorization": "Bearer k"}, "missing_model", 4000),
        ("?model=gpt-4.1", {"Authorization": "Bearer k"}, "invalid_model", 4000),
    ],
)  # fmt: skip
async def test_a_session_that_is_turned_away_is_closed_with_the_reason(
    vendor, query, headers, code, close
):
    url = f"{vendor.environ['OPENAI_BASE_URL'].replace('http', 'ws')}/realtime{query}"
    async with connect(url, additional_headers=headers) as ws:
        assert json.loads(await ws.recv())["error"]["code"] == code
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
    assert closed.value.rcvd.code == close
    assert closed.value.rcvd.reason == f"invalid_request_error.{code}"


async def test_a_limit_is_a_status_of_the_handshake(vendor):
    vendor.fault("openai.stt=429")
    url = f"{vendor.environ['OPENAI_BASE_URL'].replace('http', 'ws')}/realtime?intent=transcription"
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, additional_headers={"Authorization": "Bearer k"}):
            pass
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["retry-after"] == "1"


async def test_the_sdk_hears(vendor, sdk, sentence):
    async with sdk.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        heard = {**LIVE, "transcription": {"model": "gpt-live-transcribe", "language": "en"}}
        session = {"type": "transcription", "audio": {"input": heard}}
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session=session)
        assert (await connection.recv()).type == "session.updated"
        audio = base64.b64encode(g711.encode(sentence)).decode()
        await connection.input_audio_buffer.append(audio=audio)
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type == f"{ITEM}.input_audio_transcription.completed":
                break
    assert "table for four" in event.transcript
