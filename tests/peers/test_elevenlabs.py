"""ElevenLabs' voice and Scribe through Pipecat's services and its own SDK, against its simulated
wire."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import httpx
import pytest
from elevenlabs import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.realtime.scribe import AudioFormat
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, Errors, pieces, watched
from simulated import CAUSES, POINTS, simulated

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry

pytestmark = pytest.mark.peers

VOICE = "JBFqnCBsd6RMkjVDRZzb"
CANARY = "canary-7391"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["elevenlabs"]) as server:
        server.environ["ELEVENLABS_API_KEY"] = CANARY
        yield server


@pytest.fixture
async def client(vendor):
    """The vendor's own client."""
    async with httpx.AsyncClient() as http:
        url = f"{vendor.url}/elevenlabs"
        yield AsyncElevenLabs(api_key=CANARY, base_url=url, httpx_client=http)


async def test_a_voice_speaks_in_mulaw_with_its_words(vendor, speech):
    tts = registry.build_tts("elevenlabs", vendor.resources)
    async with watched(tts) as on:
        await on.speak(SENTENCE)
        await on.line.sink.wait_for(TTSStoppedFrame)
        frames = on.line.sink.of(TTSAudioRawFrame)
        words = [frame.text for frame in on.line.sink.of(TTSTextFrame)]
    assert tts._output_format == "ulaw_8000"
    assert {frame.sample_rate for frame in frames} == {8000}
    heard = await speech.stt.transcribe(b"".join(frame.audio for frame in frames), 8000)
    assert "car park is behind the building" in heard.text.lower()
    assert " ".join(words) == SENTENCE


async def test_a_second_reply_and_an_interrupted_one(vendor):
    tts = registry.build_tts(
        {"service": "elevenlabs", "settings": {"speed": 1.1}}, vendor.resources
    )
    async with watched(tts) as on:
        await on.speak("Hello there.")
        await on.line.sink.wait_for(TTSStoppedFrame)
        await on.speak(SENTENCE)
        await on.line.sink.wait_for(TTSAudioRawFrame)
        await on.line.worker.queue_frame(InterruptionFrame())
        await on.line.sink.wait_for(InterruptionFrame)
        stopped = len(on.line.sink.of(TTSStoppedFrame))
        await on.speak("Good bye.")
        await on.line.sink.wait_for(TTSStoppedFrame, stopped + 1)
    assert vendor.sim.requests == [("elevenlabs", "tts")]


async def test_a_caller_is_recognised(vendor, spoken):
    stt = registry.build_stt("elevenlabs", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        (final,) = await on.line.sink.wait_for(TranscriptionFrame)
        interim = on.line.sink.of(InterimTranscriptionFrame)
    assert "car park is behind the building" in final.text.lower()
    assert final.finalized
    assert interim
    assert stt._audio_format == "ulaw_8000"


async def test_a_commit_of_nothing_is_no_failure(vendor):
    stt = registry.build_stt("elevenlabs", vendor.resources)
    async with watched(stt) as on:
        await stt.queue_frame(InputAudioRawFrame(bytes(640), 8000, 1))
        await stt.queue_frame(VADUserStoppedSpeakingFrame())
        await on.line.sink.wait_for(VADUserStoppedSpeakingFrame)
        async with aiohttp.ClientSession() as http:  # the refusal has arrived before this has
            await http.get(f"{vendor.url}/elevenlabs/v1/user")
        assert stt.is_usable
    assert not on.errors


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_voice_that_is_refused_says_why(vendor, status, point):
    vendor.fault(f"elevenlabs.tts={status}@{point}")
    tts = registry.build_tts("elevenlabs", vendor.resources)
    async with watched(tts) as on:
        await on.speak(SENTENCE)
        assert (await on.error()).category is CAUSES[status]
        assert tts.is_usable is (status != 401)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("status", CAUSES)
async def test_a_recogniser_that_is_refused_says_why(vendor, spoken, status, point):
    vendor.fault(f"elevenlabs.stt={status}@{point}")
    stt = registry.build_stt("elevenlabs", vendor.resources)
    async with watched(stt) as on:
        await on.hear(spoken)
        assert (await on.error()).category is CAUSES[status]
        assert stt.is_usable is (status != 401)


@pytest.mark.parametrize("point", POINTS)
async def test_a_voice_that_is_cut_off_says_so(vendor, point):
    vendor.fault(f"elevenlabs.tts=drop@{point}x1")
    tts = registry.build_tts("elevenlabs", vendor.resources)
    async with watched(tts) as on:
        await on.speak(SENTENCE)
        assert (await on.error()).category is ErrorCategory.CONNECTIVITY
        await on.speak("And again.")
        await on.line.sink.wait_for(TTSStoppedFrame, 2)
        words = " ".join(frame.text for frame in on.line.sink.of(TTSTextFrame))
    assert words.endswith("And again.")


@pytest.mark.parametrize("point", POINTS)
async def test_a_recogniser_that_is_cut_off_says_so_and_comes_back(vendor, spoken, point):
    vendor.fault(f"elevenlabs.stt=drop@{point}x1")
    stt = registry.build_stt("elevenlabs", vendor.resources)
    errors, back = Errors(stt), asyncio.Event()

    @stt.event_handler("on_connected")
    async def on_connected(_):
        if errors:
            back.set()

    async with watched(stt) as on:
        await on.hear(spoken)
        assert (await on.error()).category is ErrorCategory.CONNECTIVITY
        await asyncio.wait_for(back.wait(), 10)
        await on.hear(spoken)
        await on.line.sink.wait_for(TranscriptionFrame)


@pytest.mark.parametrize("kind", ["tts", "stt"])
async def test_garbage_is_a_failure_of_the_vendor(vendor, spoken, kind):
    vendor.fault(f"elevenlabs.{kind}=garbage@firstx1")
    build = {"tts": registry.build_tts, "stt": registry.build_stt}[kind]
    service = build("elevenlabs", vendor.resources)
    async with watched(service) as on:
        if kind == "stt":
            await on.hear(spoken)
        else:
            await on.speak(SENTENCE)
        assert (await on.error()).category is ErrorCategory.SERVER


@pytest.mark.parametrize("kind", ["tts", "stt"])
async def test_a_vendor_that_stalls_does_not_hold_up_the_end(vendor, spoken, kind):
    vendor.fault(f"elevenlabs.{kind}=stall@first")
    build = {"tts": registry.build_tts, "stt": registry.build_stt}[kind]
    service = build("elevenlabs", vendor.resources)
    async with watched(service) as on:
        if kind == "stt":
            await on.hear(spoken)
            await on.line.sink.wait_for(VADUserStoppedSpeakingFrame)
        else:
            await on.speak("Hello there.")
            await on.line.sink.wait_for(TTSStartedFrame)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_voice_whose_idle_socket_goes_away_fails_nobody(vendor):
    tts = registry.build_tts("elevenlabs", vendor.resources)
    async with watched(tts) as on:
        tts._websocket.transport.abort()
        await on.speak("Hello there.")
        await on.line.sink.wait_for(TTSStoppedFrame)
    assert not on.errors
    assert vendor.sim.requests == [("elevenlabs", "tts")] * 2


async def test_the_vendors_own_client_speaks(client, speech):
    chunks = client.text_to_speech.stream(
        VOICE, text=SENTENCE, model_id="eleven_flash_v2_5", output_format="ulaw_8000"
    )
    audio = b"".join([chunk async for chunk in chunks])
    heard = await speech.stt.transcribe(g711.decode(audio), 8000)
    assert "car park is behind the building" in heard.text.lower()
    listed = await client.voices.get_all()
    assert VOICE in [voice.voice_id for voice in listed.voices]
    assert "eleven_flash_v2_5" in [model.model_id for model in await client.models.list()]
    assert (await client.user.get()).user_id


@pytest.mark.parametrize("status", CAUSES)
async def test_the_vendors_own_client_is_refused(vendor, client, status):
    vendor.fault(f"elevenlabs.tts={status}")
    chunks = client.text_to_speech.stream(
        VOICE,
        text="Hello",
        output_format="pcm_8000",
        request_options={"max_retries": 0},
    )
    with pytest.raises(ApiError) as caught:
        async for _ in chunks:
            pass
    assert caught.value.status_code == status


async def test_the_vendors_own_client_hears_with_times(client, spoken):
    connection = await client.speech_to_text.realtime.connect(
        {
            "model_id": "scribe_v2_realtime",
            "audio_format": AudioFormat.PCM_8000,
            "sample_rate": 8000,
            "include_timestamps": True,
        }
    )
    done = asyncio.get_running_loop().create_future()
    connection.on("committed_transcript_with_timestamps", done.set_result)
    for piece in pieces(spoken):
        await connection.send({"audio_base_64": base64.b64encode(piece).decode()})
    await connection.commit()
    told = await asyncio.wait_for(done, 20)
    await connection.close()
    words = [word["text"] for word in told["words"] if word["type"] == "word"]
    assert " ".join(words) == told["text"]
    assert "car park" in told["text"].lower()


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("tts", {"model": "eleven_flash_v2_6"}, "did you mean 'eleven_flash_v2_5'"),
        ("tts", {"voice": "JBFqnCBsd6RMkjVDRZza"}, "did you mean 'JBFqnCBsd6RMkjVDRZzb'"),
        ("stt", {"model": "scribe_v2_realtim"}, "refuses the model 'scribe_v2_realtim'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, kind, spec, says):
    await registry.probe(kind, "elevenlabs", vendor.resources)
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe(kind, {"service": "elevenlabs", **spec}, vendor.resources)


@pytest.mark.parametrize("kind", ["tts", "stt"])
async def test_a_wrong_key_is_found_by_asking(vendor, kind):
    vendor.environ["ELEVENLABS_API_KEY"] = f"bad-{CANARY}"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe(kind, "elevenlabs", vendor.resources)
    assert CANARY not in str(caught.value)


async def test_a_key_that_may_speak_and_not_list_is_a_good_key(vendor):
    vendor.environ["ELEVENLABS_API_KEY"] = "limited"
    await registry.probe("tts", "elevenlabs", vendor.resources)


@pytest.mark.parametrize("kind", ["tts", "stt"])
async def test_a_vendor_that_is_not_there_is_no_wrong_configuration(vendor, kind):
    spec = {"service": "elevenlabs", "base_url": "http://127.0.0.1:9"}
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe(kind, spec, vendor.resources)


INIT = {"text": " ", "context_id": "a", "voice_settings": {"speed": 1.0}}
REFUSED_VOICE = {
    "not json": (["{"], "invalid_message"),
    "not an object": (["[]"], "invalid_message"),
    "no text": ([{"context_id": "a"}], "invalid_message"),
    "text of a number": ([{"text": 1}], "invalid_message"),
    "settings that change": (
        [INIT, {**INIT, "voice_settings": {"speed": 1.1}}],
        "invalid_voice_settings",
    ),
    "a sixth context": (
        [{"text": " ", "context_id": str(i)} for i in range(6)],
        "max_active_conversations",
    ),
}


async def talk(url, messages, headers=None):
    """What the server says to these messages, and its close code."""
    said = []
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, headers=headers or {"xi-api-key": "k"}) as socket,
    ):
        for message in messages:
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        async with asyncio.timeout(30):
            async for message in socket:
                said.append(json.loads(message.data))
        return said, socket.close_code


@pytest.mark.parametrize(("messages", "error"), REFUSED_VOICE.values(), ids=REFUSED_VOICE)
async def test_the_voice_refuses_what_the_vendor_refuses(vendor, messages, error):
    url = f"{vendor.url}/elevenlabs/v1/text-to-speech/{VOICE}/multi-stream-input"
    said, code = await talk(f"{url}?output_format=pcm_8000", messages)
    assert (said[-1]["error"], said[-1]["code"], code) == (error, 1008, 1008)


@pytest.mark.parametrize(
    ("voice", "query", "headers", "error"),
    [
        ("nobody", "", None, "voice_not_found"),
        (VOICE, "model_id=eleven_v9", None, "model_not_found"),
        (VOICE, "output_format=pcm_1", None, "invalid_output_format"),
        (VOICE, "output_format=pcm_8000", {"xi-api-key": "bad"}, "invalid_api_key"),
        (VOICE, "output_format=pcm_8000", {"x": "y"}, "invalid_api_key"),
    ],
)
async def test_the_voice_admits_nobody_else(vendor, voice, query, headers, error):
    url = f"{vendor.url}/elevenlabs/v1/text-to-speech/{voice}/multi-stream-input?{query}"
    said, code = await talk(url, [{"text": " "}], headers)
    assert (said[-1]["error"], code) == (error, 1008)


@pytest.mark.parametrize("every_chunk", ["true", "false"])
async def test_the_times_of_the_characters_cover_the_audio(vendor, every_chunk):
    """Two segments of a reply: times count from a segment's own audio, or from a chunk's."""
    url = f"{vendor.url}/elevenlabs/v1/text-to-speech/{VOICE}/multi-stream-input"
    query = f"output_format=ulaw_8000&auto_mode=true&sync_alignment={every_chunk}"
    messages = [
        {"text": " ", "context_id": "a"},
        {"text": "Good morning.", "context_id": "a"},
        {"text": "How are you?", "context_id": "a"},
        {"context_id": "a", "close_context": True},
        {"close_socket": True},
    ]
    said, code = await talk(f"{url}?{query}", messages)
    assert said.pop() == {"isFinal": True, "contextId": "a"}
    assert code == 1000
    chars, timed_ms, audio_ms = [], 0, 0
    for event in said:
        audio_ms += len(base64.b64decode(event["audio"])) / 8
        if times := event["alignment"]:
            chars += times["chars"]
            timed_ms += times["charStartTimesMs"][-1] + times["charDurationsMs"][-1]
    assert "".join(chars) == "Good morning. How are you?"
    assert abs(timed_ms - audio_ms) < 10
    assert all(event["alignment"] for event in said) is (every_chunk == "true")


@pytest.mark.parametrize("kind", ["tts", "stt"])
async def test_a_vendor_may_be_there_and_silent(vendor, spoken, kind):
    vendor.fault(f"elevenlabs.{kind}=silence@first")
    build = {"tts": registry.build_tts, "stt": registry.build_stt}[kind]
    service = build("elevenlabs", vendor.resources)
    async with watched(service) as on:
        if kind == "stt":
            await on.hear(spoken)
            await on.line.sink.wait_for(VADUserStoppedSpeakingFrame)
            assert not on.line.sink.of(TranscriptionFrame)
        else:
            await on.speak("Hello there.")
            (first, *_) = await on.line.sink.wait_for(TTSAudioRawFrame)
            assert not any(first.audio)
    assert not on.errors


CHUNK = {"message_type": "input_audio_chunk", "audio_base_64": "", "commit": False}
REFUSED_SCRIBE = {
    "not json": ("", ["{"], "input_error"),
    "another message": ("", [{"message_type": "hello"}], "input_error"),
    "no commit": ("", [{"message_type": "input_audio_chunk"}], "input_error"),
    "not base64": ("", [{**CHUNK, "audio_base_64": "?"}], "input_error"),
    "another rate": ("", [{**CHUNK, "sample_rate": 44100}], "input_error"),
    "late previous text": ("", [CHUNK, {**CHUNK, "previous_text": "a"}], "input_error"),
    "unknown format": ("&audio_format=mp3", [], "invalid_request"),
    "unknown strategy": ("&commit_strategy=never", [], "invalid_request"),
}


@pytest.mark.parametrize(("query", "messages", "kind"), REFUSED_SCRIBE.values(), ids=REFUSED_SCRIBE)
async def test_scribe_refuses_what_the_vendor_refuses(vendor, query, messages, kind):
    url = f"{vendor.url}/elevenlabs/v1/speech-to-text/realtime?model_id=scribe_v2_realtime{query}"
    said, code = await talk(url, messages)
    assert (said[-1]["message_type"], code) == (kind, 1008)
