"""Amazon Polly through our service and AWS's own SDK, against the simulated wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from pipecat.frames.frames import TTSAudioRawFrame, TTSStoppedFrame
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.simulate.speech import decode

pytestmark = pytest.mark.peers

CANARY = "AKIACANARY5C1E"
SECRET = "canary-secret-77d2"
SPEECH = {
    "OutputFormat": "mulaw",
    "SampleRate": "8000",
    "Engine": "neural",
    "VoiceId": "Joanna",
    "Text": "Hello.",
}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["polly"]) as server:
        server.environ.update(AWS_ACCESS_KEY_ID=CANARY, AWS_SECRET_ACCESS_KEY=SECRET)
        yield server


@pytest.fixture
async def sdk(vendor):
    """AWS's own client, as anybody would make it."""
    made = get_session().create_client(
        "polly",
        region_name="eu-west-1",
        endpoint_url=vendor.environ["POLLY_BASE_URL"],
        aws_access_key_id=CANARY,
        aws_secret_access_key=SECRET,
        config=AioConfig(retries={"total_max_attempts": 1}),
    )
    async with made as client:
        yield client


def signed(day: str | None = None, key: str = CANARY, service: str = "polly") -> dict[str, str]:
    """Headers in the form of AWS's signature."""
    now = datetime.now(UTC)
    scope = f"{key}/{day or now.strftime('%Y%m%d')}/us-east-1/{service}/aws4_request"
    return {
        "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, "
        f"Signature={'0' * 64}",
    }


async def test_a_voice_speaks_at_the_phones_rate(vendor, speech):
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak("Fish & chips: the car park is behind the building.")
        await call.line.sink.wait_for(TTSStoppedFrame)
        frames = call.line.sink.of(TTSAudioRawFrame)
        assert {frame.sample_rate for frame in frames} == {8000}
        assert len(frames) > 10  # as it comes, not as a whole
        heard = await speech.stt.transcribe(call.audio, 8000)
    assert "car park is behind the building" in heard.text.lower()
    assert not call.errors


async def test_all_calls_share_one_client(vendor):
    first = registry.build_tts("polly", vendor.resources)
    second = registry.build_tts({"service": "polly", "voice": "Amy"}, vendor.resources)
    assert first._client is second._client


async def test_the_vendors_sdk_is_served(sdk, speech):
    answer = await sdk.synthesize_speech(**{**SPEECH, "Text": SENTENCE})
    async with answer["AudioStream"] as stream:
        audio = await stream.read()
    assert answer["ContentType"] == "audio/mulaw"
    heard = await speech.stt.transcribe(decode(audio, "mulaw", 8000), 8000)
    assert "car park" in heard.text.lower()
    german = await sdk.describe_voices(LanguageCode="de-DE", Engine="neural")
    assert [voice["Id"] for voice in german["Voices"]] == ["Vicki"]


async def test_another_engine_and_rate_are_asked_for(vendor, speech):
    spec = {
        "service": "polly",
        "model": "generative",
        "voice": "Ruth",
        "options": {"sample_rate": 16000},
    }
    async with watched(registry.build_tts(spec, vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        heard = await speech.stt.transcribe(call.audio, 16000)
    assert "car park" in heard.text.lower()


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, ErrorCategory.AUTHENTICATION),
        (429, ErrorCategory.RATE_LIMIT),
        (500, ErrorCategory.SERVER),
    ],
)
async def test_a_refusal_says_why_once(vendor, status, category):
    vendor.fault(f"polly={status}")
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak(SENTENCE)
        error = await call.error()
        assert error.category is category
        assert not {CANARY, SECRET} & set(f"{error.error} {error.exception!r}".split())
    assert len(vendor.sim.requests) == 1  # no retries: a chain has better to do


@pytest.mark.parametrize("fault", ["drop@connect", "drop@first", "drop@middle", "500@middle"])
async def test_a_voice_that_is_cut_off_is_out_of_reach(vendor, fault):
    vendor.fault(f"polly={fault}")
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak(SENTENCE)
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY
        assert bool(call.audio) == ("middle" in fault)


@pytest.mark.parametrize("point", ["connect", "first", "middle"])
async def test_stalls_leave_nothing_behind(vendor, point):
    vendor.fault(f"polly=stall@{point}")
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await vendor.until(lambda: len(vendor.sim.requests) >= 1)


async def test_silence_is_sound_without_any(vendor):
    vendor.fault("polly=silence@first")
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        assert not any(call.audio)
        assert len(call.audio) > 8000


async def test_nobody_there(vendor):
    vendor.environ["POLLY_BASE_URL"] = "http://127.0.0.1:9"
    async with watched(registry.build_tts("polly", vendor.resources)) as call:
        await call.speak(SENTENCE)
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("tts", "polly", vendor.resources)


@pytest.mark.parametrize(
    ("spec", "key", "says"),
    [
        ("polly", "bad-canary", "refuses the key"),
        ({"service": "polly", "voice": "Joana"}, CANARY, "did you mean 'Joanna'"),
        ({"service": "polly", "model": "neurall"}, CANARY, "no model 'neurall'"),
        ({"service": "polly", "voice": "Marlene"}, CANARY, "neural engine has no voice"),
    ],
)
async def test_what_would_fail_is_found_by_asking(vendor, spec, key, says):
    vendor.environ["AWS_ACCESS_KEY_ID"] = key
    with pytest.raises(ProviderConfigError, match=says) as caught:
        await registry.probe("tts", spec, vendor.resources)
    assert "canary" not in str(caught.value).lower()


async def test_what_would_work_is_found_by_asking(vendor):
    await registry.probe("tts", "polly", vendor.resources)


async def test_a_missing_key_is_named(vendor):
    del vendor.environ["AWS_SECRET_ACCESS_KEY"]
    with pytest.raises(ProviderConfigError, match="set AWS_SECRET_ACCESS_KEY in"):
        registry.build_tts("polly", vendor.resources)


@pytest.mark.parametrize(
    ("headers", "change", "status", "name"),
    [
        ({}, {}, 403, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer x"}, {}, 403, "IncompleteSignatureException"),
        (signed(service="s3"), {}, 403, "InvalidSignatureException"),
        (signed(day="20200101"), {}, 403, "InvalidSignatureException"),
        (signed(key="bad"), {}, 403, "UnrecognizedClientException"),
        (signed(), {"VoiceId": "Nobody"}, 400, "ValidationException"),
        (signed(), {"Engine": "fast"}, 400, "ValidationException"),
        (signed(), {"OutputFormat": "wav"}, 400, "ValidationException"),
        (signed(), {"SampleRate": "16000"}, 400, "InvalidSampleRateException"),
        (signed(), {"Text": None}, 400, "ValidationException"),
        (signed(), {"Text": "a" * 3001}, 400, "TextLengthExceededException"),
        (signed(), {"Text": "<speak>cut", "TextType": "ssml"}, 400, "InvalidSsmlException"),
    ],
    ids=[
        "unsigned", "bearer", "scope", "day", "key", "voice", "engine", "format", "rate", "no-text",
        "long", "cut-ssml",
    ],
)  # fmt: skip
async def test_a_malformed_request_is_refused(vendor, http, headers, change, status, name):  # noqa: PLR0917
    url = vendor.environ["POLLY_BASE_URL"] + "/v1/speech"
    body = json.dumps({**SPEECH, **change})
    async with http.post(url, data=body, headers=headers) as answer:
        assert answer.status == status
        assert answer.headers["x-amzn-ErrorType"] == name


async def test_the_vendors_sdk_understands_a_refusal(vendor, sdk):
    vendor.fault("polly=429")
    with pytest.raises(ClientError) as caught:
        await sdk.synthesize_speech(**SPEECH)
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
