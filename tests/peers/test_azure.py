"""Azure's voices and recognition through our services, against the simulated wire."""

from __future__ import annotations

import aiohttp
import pytest
from pipecat.frames.frames import TranscriptionFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.utils.errors import ErrorCategory
from service_line import SENTENCE, watched
from simulated import simulated

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

CANARY = "canary-5c1e"
REFUSALS = [
    (401, ErrorCategory.AUTHENTICATION),
    (429, ErrorCategory.RATE_LIMIT),
    (500, ErrorCategory.SERVER),
]
SSML = "<speak version='1.0' xml:lang='en-US'><voice name='{}'>Hello.</voice></speak>"
SPEAKS = {
    "Ocp-Apim-Subscription-Key": CANARY,
    "Content-Type": "application/ssml+xml",
    "X-Microsoft-OutputFormat": "raw-8khz-8bit-mono-mulaw",
}
HEARS = {
    "Ocp-Apim-Subscription-Key": CANARY,
    "Content-Type": "audio/wav; codecs=audio/pcm; samplerate=16000",
}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["azure"]) as server:
        server.environ["AZURE_API_KEY"] = CANARY
        yield server


async def test_a_voice_speaks_at_the_phones_rate(vendor, speech):
    async with watched(registry.build_tts("azure", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        assert {frame.sample_rate for frame in call.line.sink.of(TTSAudioRawFrame)} == {8000}
        heard = await speech.stt.transcribe(call.audio, 8000)
    assert "car park is behind the building" in heard.text.lower()
    assert not call.errors


async def test_an_utterance_is_recognised(vendor, spoken):
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(spoken)
        [text] = await call.line.sink.wait_for(TranscriptionFrame)
        assert "car park is behind the building" in text.text.lower()
        assert text.finalized
    assert not call.errors


async def test_silence_is_no_text(vendor):
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(bytes(16000))
        [empty] = await call.line.sink.wait_for(EmptyTranscriptFrame)
        assert not empty.failed


async def test_a_wider_rate_and_another_language_are_asked_for(vendor, speech):
    spec = {"service": "azure", "voice": "en-GB-SoniaNeural", "options": {"sample_rate": 16000}}
    async with watched(registry.build_tts(spec, vendor.resources)) as call:
        await call.speak("Salt & pepper < bread.")
        await call.line.sink.wait_for(TTSStoppedFrame)
        heard = await speech.stt.transcribe(call.audio, 16000)
    assert "pepper" in heard.text.lower()


@pytest.mark.parametrize(("status", "category"), REFUSALS)
async def test_a_voice_that_is_refused_says_why(vendor, status, category):
    vendor.fault(f"azure.tts={status}")
    async with watched(registry.build_tts("azure", vendor.resources)) as call:
        await call.speak(SENTENCE)
        error = await call.error()
        assert error.category is category
        assert CANARY not in f"{error.error} {error.exception!r}"
        assert (status == 429) == ("Retry-After" in error.exception.headers)


@pytest.mark.parametrize(("status", "category"), REFUSALS)
async def test_a_recogniser_that_is_refused_says_why(vendor, spoken, status, category):
    vendor.fault(f"azure.stt={status}")
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(spoken)
        error = await call.error()
        assert error.category is category
        assert CANARY not in f"{error.error} {error.exception!r}"


@pytest.mark.parametrize("fault", ["drop@connect", "drop@first", "drop@middle", "500@middle"])
async def test_a_voice_that_is_cut_off_is_out_of_reach(vendor, fault):
    vendor.fault(f"azure.tts={fault}")
    async with watched(registry.build_tts("azure", vendor.resources)) as call:
        await call.speak(SENTENCE)
        error = await call.error()
        assert error.category is ErrorCategory.CONNECTIVITY
        assert bool(call.audio) == ("middle" in fault)


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("drop@middle", ErrorCategory.CONNECTIVITY),
        ("drop@end", ErrorCategory.CONNECTIVITY),
        ("500@end", ErrorCategory.SERVER),
        ("garbage@end", ErrorCategory.CONNECTIVITY),
    ],
)
async def test_a_recogniser_that_breaks_off_says_so(vendor, spoken, fault, category):
    vendor.fault(f"azure.stt={fault}")
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.error()).category is category
        [empty] = await call.line.sink.wait_for(EmptyTranscriptFrame)
        assert empty.failed


@pytest.mark.parametrize("point", ["connect", "first", "middle"])
async def test_stalls_leave_nothing_behind(vendor, spoken, point):
    vendor.fault(f"azure=stall@{point}")
    stt = registry.build_stt("azure", vendor.resources)
    tts = registry.build_tts("azure", vendor.resources)
    async with watched(stt) as hears, watched(tts) as speaks:
        await hears.hear(spoken)
        await speaks.speak(SENTENCE)
        await vendor.until(lambda: len(vendor.sim.requests) >= 2)


async def test_silence_and_a_slow_reader(vendor, spoken):
    vendor.fault("azure.tts=silence@first", "azure.stt=slow_reader@first")
    async with watched(registry.build_tts("azure", vendor.resources)) as call:
        await call.speak(SENTENCE)
        await call.line.sink.wait_for(TTSStoppedFrame)
        assert not any(call.audio)
        assert len(call.audio) > 8000
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(spoken)
        await call.line.sink.wait_for(TranscriptionFrame)


async def test_nobody_there(vendor, spoken):
    vendor.environ["AZURE_BASE_URL"] = "http://127.0.0.1:9"
    async with watched(registry.build_stt("azure", vendor.resources)) as call:
        await call.hear(spoken)
        assert (await call.error()).category is ErrorCategory.CONNECTIVITY


@pytest.mark.parametrize(
    ("kind", "spec", "key", "says"),
    [
        ("tts", "azure", "bad-canary", "refuses the key"),
        ("stt", "azure", "bad-canary", "refuses the key"),
        ("tts", {"service": "azure", "voice": "en-US-AvNeural"}, "k", "did you mean 'en-US-Ava"),
        ("stt", {"service": "azure", "language": "xx-XX"}, "k", "the language 'xx-XX'"),
    ],
)
async def test_what_would_fail_is_found_by_asking(vendor, kind, spec, key, says):
    vendor.environ["AZURE_API_KEY"] = key
    with pytest.raises(ProviderConfigError, match=says) as caught:
        await registry.probe(kind, spec, vendor.resources)
    assert "canary" not in str(caught.value)


async def test_what_would_work_is_found_by_asking(vendor):
    await registry.probe("tts", "azure", vendor.resources)
    await registry.probe("stt", "azure", vendor.resources)
    vendor.environ["AZURE_BASE_URL"] = "http://127.0.0.1:9"
    with pytest.raises(ProviderError, match="cannot be asked"):
        await registry.probe("stt", "azure", vendor.resources)


async def test_a_region_or_an_address_is_needed(vendor):
    del vendor.environ["AZURE_BASE_URL"]
    with pytest.raises(ProviderConfigError, match="AZURE_REGION"):
        registry.build_tts("azure", vendor.resources)
    vendor.environ["AZURE_REGION"] = "westeurope"
    registry.build_tts("azure", vendor.resources)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, SSML.format("en-US-AvaNeural"), 415),
        ({"X-Microsoft-OutputFormat": "raw-9khz"}, SSML.format("en-US-AvaNeural"), 400),
        ({}, SSML.format("en-US-NobodyNeural"), 400),
        ({}, "<speak><voice name='en-US-AvaNeural'>Hello", 400),
        ({}, "<voice name='en-US-AvaNeural'>Hello</voice>", 400),
        ({"Ocp-Apim-Subscription-Key": "bad"}, SSML.format("en-US-AvaNeural"), 401),
    ],
    ids=["no-ssml-type", "format", "voice", "cut-ssml", "no-speak", "key"],
)
async def test_a_malformed_wish_to_speak_is_refused(vendor, http, headers, body, status):
    url = vendor.environ["AZURE_BASE_URL"] + "/cognitiveservices/v1"
    async with http.post(url, data=body.encode(), headers={**SPEAKS, **headers}) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("headers", "query", "body", "status"),
    [
        ({}, {}, b"RIFF", 400),
        ({}, {"language": "xx-XX"}, b"RIFF", 400),
        ({}, {"language": "en-US"}, b"RIFF\x00\x00", 400),
        ({"Content-Type": "audio/mpeg"}, {"language": "en-US"}, b"", 400),
        ({"Ocp-Apim-Subscription-Key": "bad"}, {"language": "en-US"}, b"", 401),
    ],
    ids=["no-language", "language", "no-wav", "content-type", "key"],
)
async def test_a_malformed_wish_to_be_heard_is_refused(vendor, http, headers, query, body, status):  # noqa: PLR0917
    url = f"{vendor.environ['AZURE_BASE_URL']}/speech/recognition/conversation/cognitiveservices/v1"
    wish = http.post(url, params=query, data=body, headers={**HEARS, **headers})
    async with wish as answer:
        assert answer.status == status


async def test_no_key_is_another_refusal_of_recognition(vendor, http: aiohttp.ClientSession):
    url = f"{vendor.environ['AZURE_BASE_URL']}/speech/recognition/conversation/cognitiveservices/v1"
    async with http.post(url, params={"language": "en-US"}, data=b"") as answer:
        assert answer.status == 403
