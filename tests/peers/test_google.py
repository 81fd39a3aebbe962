"""Google's recognition and voices through our services and Google's own SDK, against the simulated
wire."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument, ResourceExhausted
from google.cloud.speech_v2 import SpeechAsyncClient
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.cloud.speech_v2.types import cloud_speech as stt
from google.cloud.texttospeech_v1 import TextToSpeechAsyncClient
from google.cloud.texttospeech_v1.services.text_to_speech.transports import (
    TextToSpeechGrpcAsyncIOTransport,
)
from google.cloud.texttospeech_v1.types import cloud_tts as tts
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import simulated

from telebot.audio import g711
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

CANARY = "canary-5c1e"
RECOGNIZER = "projects/p/locations/global/recognizers/_"
KEY = (("x-goog-api-key", CANARY),)
REFUSALS = [
    (401, ErrorCategory.AUTHENTICATION),
    (429, ErrorCategory.RATE_LIMIT),
    (500, ErrorCategory.SERVER),
]


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["google"]) as server:
        server.environ["GOOGLE_API_KEY"] = CANARY
        yield server


@pytest.fixture
async def channel(vendor):
    target = vendor.environ["GOOGLE_BASE_URL"].removeprefix("http://")
    async with grpc.aio.insecure_channel(target) as opened:
        yield opened


@pytest.fixture
def hears(channel):
    """Google's own client for recognition."""
    return SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))


@pytest.fixture
def speaks(channel):
    """Google's own client for voices."""
    return TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel))


def decoding(model="telephony", language="en-US", rate=8000):
    audio = {"encoding": 2, "sample_rate_hertz": rate, "audio_channel_count": 1}  # MULAW
    return {"model": model, "language_codes": [language], "explicit_decoding_config": audio}


def to_hear(recognizer=RECOGNIZER, **config):
    return stt.StreamingRecognizeRequest(
        recognizer=recognizer, streaming_config={"config": decoding(**config)}
    )


def audio_of(size):
    return stt.StreamingRecognizeRequest(audio=g711.SILENCE * size)


def to_speak(name="en-US-Chirp3-HD-Charon", language="en-US", encoding=5):
    return tts.StreamingSynthesizeRequest(
        streaming_config={
            "voice": {"name": name, "language_code": language},
            "streaming_audio_config": {"audio_encoding": encoding, "sample_rate_hertz": 8000},
        }
    )


def text_of(text):
    return tts.StreamingSynthesizeRequest(input={"text": text})


async def messages(*all_of_them):
    for message in all_of_them:
        yield message


async def test_a_voice_speaks_at_the_phones_rate(vendor, speech):
    async with watched(registry.build_tts("google", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        frames = call.line.sink.of(TTSAudioRawFrame)
        assert {frame.sample_rate for frame in frames} == {8000}
        assert len(frames) > 10
        heard = await speech.stt.transcribe(call.audio, 8000)
    assert "car park is behind the building" in heard.text.lower()
    assert not call.errors


async def test_utterances_are_recognised_one_by_one(vendor, spoken):
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        for count in (1, 2):
            await call.hear(spoken)
            [*_, text] = await call.line.sink.wait_for(TranscriptionFrame, count)
            assert "car park is behind the building" in text.text.lower()
            assert text.finalized
        assert call.line.sink.of(InterimTranscriptionFrame)
    assert len(vendor.sim.requests) == 2
    assert not call.errors


async def test_what_was_settled_on_the_way_is_part_of_the_text(vendor, spoken):
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.hear(spoken + bytes(16000) + spoken + bytes(1600))
        [text] = await call.line.sink.wait_for(TranscriptionFrame)
        assert text.text.lower().count("car park") == 2


async def test_silence_is_no_text(vendor):
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.hear(bytes(16000))
        [empty] = await call.line.sink.wait_for(EmptyTranscriptFrame)
        assert not empty.failed


async def test_the_vendors_sdk_is_served(hears, speaks, speech, spoken):
    found = await speaks.list_voices(language_code="en-GB", metadata=KEY)
    assert [voice.name for voice in found.voices] == ["en-GB-Chirp3-HD-Kore"]
    stream = await speaks.streaming_synthesize(
        requests=messages(to_speak(), text_of(SENTENCE)), metadata=KEY
    )
    audio = b"".join([piece.audio_content async for piece in stream])
    assert "car park" in (await speech.stt.transcribe(g711.decode(audio), 8000)).text.lower()
    request = stt.RecognizeRequest(
        recognizer=RECOGNIZER, config=decoding(), content=g711.encode(spoken)
    )
    answer = await hears.recognize(request=request, metadata=KEY)
    assert "car park" in answer.results[0].alternatives[0].transcript.lower()


@pytest.mark.parametrize(("status", "category"), REFUSALS)
async def test_a_voice_that_is_refused_says_why(vendor, status, category):
    vendor.fault(f"google.tts={status}")
    async with watched(registry.build_tts("google", vendor.resources)) as call:
        await call.speak(SENTENCE)
        error = await call.error()
        assert error.category is category
        assert CANARY not in f"{error.error} {error.exception!r}"
        assert (status == 429) == (error.exception.headers == {"retry-after": "1"})


@pytest.mark.parametrize(("status", "category"), REFUSALS)
async def test_a_recogniser_that_is_refused_says_why_once(vendor, spoken, status, category):
    vendor.fault(f"google.stt={status}")
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.begins()
        await call.sounds(spoken[:640])
        await call.error()
        await call.ends()
        await call.line.sink.wait_for(EmptyTranscriptFrame)
        [error] = call.errors
        assert error.category is category
        assert CANARY not in f"{error.error} {error.exception!r}"


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("drop@connect", ErrorCategory.CONNECTIVITY),
        ("drop@middle", ErrorCategory.CONNECTIVITY),
        ("500@middle", ErrorCategory.SERVER),
        ("garbage@middle", ErrorCategory.SERVER),
    ],
)
async def test_a_voice_that_is_cut_off_says_so(vendor, fault, category):
    vendor.fault(f"google.tts={fault}")
    async with watched(registry.build_tts("google", vendor.resources)) as call:
        await call.speak(SENTENCE)
        assert (await call.error()).category is category
        assert bool(call.audio) == ("middle" in fault)


@pytest.mark.parametrize("point", ["connect", "first", "middle"])
async def test_a_recogniser_that_breaks_off_says_so_before_the_caller_has_stopped(
    vendor, spoken, point
):
    vendor.fault(f"google.stt=drop@{point}")
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.begins()
        await call.sounds(spoken)
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY
        assert not call.line.sink.of(EmptyTranscriptFrame)


async def test_a_channel_that_was_cut_is_opened_again(vendor, spoken):
    vendor.fault("google.stt=drop@middle x1")
    service = registry.build_stt("google", vendor.resources)
    async with watched(service) as call:
        await call.hear(spoken)
        await call.error()
        await noticed(service._client.transport.grpc_channel)
        await call.hear(spoken)
        await call.line.sink.wait_for(TranscriptionFrame)


async def noticed(cut):
    """Until gRPC knows that the connection is gone; a stream that is begun before goes with it."""
    async with asyncio.timeout(30):
        await cut.wait_for_state_change(grpc.ChannelConnectivity.READY)


@pytest.mark.parametrize("point", ["connect", "first", "end"])
async def test_stalls_leave_nothing_behind(vendor, spoken, point):
    vendor.fault(f"google=stall@{point}")
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.hear(spoken)
        await vendor.until(lambda: len(vendor.sim.requests) >= 1)
    async with watched(registry.build_tts("google", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await vendor.until(lambda: len(vendor.sim.requests) >= 2)


async def test_silence_is_no_text_and_sound_without_any(vendor, spoken):
    vendor.fault("google=silence@first")
    async with watched(registry.build_tts("google", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        assert not any(call.audio)
        assert len(call.audio) > 8000
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.hear(spoken)
        await call.line.sink.wait_for(EmptyTranscriptFrame)


async def test_nobody_there(vendor, spoken):
    vendor.environ["GOOGLE_BASE_URL"] = "http://127.0.0.1:9"
    async with watched(registry.build_stt("google", vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY
    with pytest.raises(ProviderError, match="google refuses"):
        await registry.probe("tts", "google", vendor.resources)


@pytest.mark.parametrize(
    ("kind", "spec", "key", "says"),
    [
        ("stt", "google", "bad-canary", "refuses the key"),
        ("tts", "google", "bad-canary", "refuses the key"),
        ("stt", {"service": "google", "model": "telefony"}, "k", "the model 'telefony'"),
        ("stt", {"service": "google", "language": "xx-XX"}, "k", "the language 'xx-XX'"),
        ("tts", {"service": "google", "voice": "en-US-Chirp3-HD-Karon"}, "k", "did you mean"),
    ],
)
async def test_what_would_fail_is_found_by_asking(vendor, kind, spec, key, says):
    vendor.environ["GOOGLE_API_KEY"] = key
    with pytest.raises(ProviderConfigError, match=says) as caught:
        await registry.probe(kind, spec, vendor.resources)
    assert "canary" not in str(caught.value)


async def test_what_would_work_is_found_by_asking(vendor):
    await registry.probe("stt", "google", vendor.resources)
    await registry.probe("tts", "google", vendor.resources)


async def test_what_is_missing_is_named(vendor):
    del vendor.environ["GOOGLE_CLOUD_PROJECT"]
    with pytest.raises(ProviderConfigError, match="needs GOOGLE_CLOUD_PROJECT"):
        registry.build_stt("google", vendor.resources)
    del vendor.environ["GOOGLE_API_KEY"]
    with pytest.raises(ProviderConfigError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        registry.build_stt("google", vendor.resources)


MALFORMED_HEARING = {
    "no-configuration": [audio_of(320)],
    "recognizer": [to_hear(recognizer="telephony")],
    "model": [to_hear(model="telefony")],
    "language": [to_hear(language="xx-XX")],
    "rate": [to_hear(rate=400)],
    "two-configurations": [to_hear(), to_hear()],
    "large-audio": [to_hear(), audio_of(25601)],
}
MALFORMED_SPEAKING = {
    "no-configuration": [text_of("Hello.")],
    "voice": [to_speak(name="en-US-Chirp3-HD-Nobody")],
    "voice-of-another-language": [to_speak(language="de-DE")],
    "voice-without-streams": [to_speak(name="en-US-Neural2-C")],
    "encoding": [to_speak(encoding=2)],
    "two-configurations": [to_speak(), to_speak()],
    "long-text": [to_speak(), text_of("a" * 5001)],
}


@pytest.mark.parametrize("sent", MALFORMED_HEARING.values(), ids=MALFORMED_HEARING)
async def test_a_malformed_stream_to_be_heard_is_refused(hears, sent):
    with pytest.raises(InvalidArgument):
        async for _ in await hears.streaming_recognize(requests=messages(*sent), metadata=KEY):
            pass


@pytest.mark.parametrize("sent", MALFORMED_SPEAKING.values(), ids=MALFORMED_SPEAKING)
async def test_a_malformed_stream_to_be_spoken_is_refused(speaks, sent):
    with pytest.raises(InvalidArgument):
        async for _ in await speaks.streaming_synthesize(requests=messages(*sent), metadata=KEY):
            pass


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), "PERMISSION_DENIED", None),
        ((("x-goog-api-key", "bad"),), "INVALID_ARGUMENT", "API_KEY_INVALID"),
        ((("authorization", "Bearer bad"),), "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
    ids=["nobody", "bad-key", "bad-token"],
)
async def test_who_is_not_known_is_refused(speaks, metadata, code, reason):
    with pytest.raises(GoogleAPICallError) as caught:
        await speaks.list_voices(metadata=metadata)
    assert (caught.value.grpc_status_code.name, caught.value.reason) == (code, reason)


async def test_the_vendors_sdk_understands_a_refusal(vendor, hears):
    """Of one message: a stream that is refused while it sends may end with gRPC's own INTERNAL
    (`google_cloud.lost`)."""
    vendor.fault("google=429")
    with pytest.raises(ResourceExhausted):
        await hears.recognize(
            recognizer=RECOGNIZER, config=decoding(), content=g711.SILENCE, metadata=KEY
        )


async def test_a_service_accounts_file_says_who_asks_and_for_which_project(vendor, tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "account.json"
    account = {
        "type": "service_account",
        "project_id": "phones",
        "client_email": "bot@phones.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
        "private_key": key.decode(),
    }
    file.write_text(json.dumps(account))
    for name in ("GOOGLE_BASE_URL", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"):
        del vendor.environ[name]
    vendor.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
    spec = {"service": "google", "options": {"location": "europe-west4"}}
    service = registry.build_stt(spec, vendor.resources)
    assert service.recognizer == "projects/phones/locations/europe-west4/recognizers/_"
    assert service.host == "europe-west4-speech.googleapis.com:443"
    assert registry.build_tts("google", vendor.resources)
    file.write_text("{}")
    with pytest.raises(ProviderConfigError, match="has no credentials of"):
        registry.build_tts({"service": "google", "base_url": "https://other"}, vendor.resources)
