"""Servers that speak OpenAI's wire, named by their address."""

from __future__ import annotations

import pytest
from aiohttp import web
from pipecat.frames.frames import LLMFullResponseEndFrame, TTSStoppedFrame
from pipecat.utils.errors import ErrorCategory
from service_line import watched
from simulated import simulated

from telebot.audio.wav import written
from telebot.call.errors import ProviderConfigError
from telebot.providers import registry
from telebot.providers.openai_words import category_of

pytestmark = pytest.mark.peers

NAME = "openai-compatible"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai"]) as server:
        yield server


@pytest.fixture
def spec(vendor):
    base = {"service": NAME, "base_url": vendor.environ["OPENAI_BASE_URL"]}
    return lambda model, **more: {**base, "model": model, **more}


async def test_a_model_answers_a_caller(vendor, spec):
    llm = registry.build_llm(spec("gpt-4.1"), vendor.resources)
    async with watched(llm) as on:
        await on.ask("When are you open?")
        await on.line.sink.wait_for(LLMFullResponseEndFrame)
        assert on.said.startswith("We are open")
    assert not on.errors


async def test_a_voice_speaks(vendor, spec, speech):
    tts = registry.build_tts(spec("tts-1", voice="nova"), vendor.resources)
    async with watched(tts) as on:
        await on.speak("The car park is behind the building.")
        await on.line.sink.wait_for(TTSStoppedFrame)
        audio, rate_hz = on.audio, on.rate_hz
    assert "car park" in (await speech.stt.transcribe(audio, rate_hz)).text.lower()
    assert not on.errors


@pytest.mark.parametrize(
    ("fault", "kind"), [("401", "authentication"), ("429", "rate_limit"), ("500", "server"),
                        ("drop@middle", "connectivity")]
)  # fmt: skip
@pytest.mark.parametrize("what", ["llm", "tts"])
async def test_a_fault_is_an_error_of_its_kind(vendor, spec, what, fault, kind):
    vendor.fault(f"openai={fault}")
    service = registry.build(what, spec("gpt-4.1" if what == "llm" else "tts-1"), vendor.resources)
    async with watched(service) as on:
        await (on.ask if what == "llm" else on.speak)("When are you open?")
        assert await on.errors.category() == kind


@pytest.mark.parametrize("what", ["llm", "tts"])
async def test_a_server_that_stalls_can_be_given_up(vendor, spec, what):
    vendor.fault("openai=stall@first")
    service = registry.build(what, spec("gpt-4.1" if what == "llm" else "tts-1"), vendor.resources)
    async with watched(service) as on:
        await (on.ask if what == "llm" else on.speak)("When are you open?")
    assert not on.errors


async def test_what_is_missing_is_named(vendor, spec):
    with pytest.raises(ProviderConfigError, match="write `base_url"):
        registry.build_llm({"service": NAME, "model": "m"}, vendor.resources)
    with pytest.raises(ProviderConfigError, match="needs a model"):
        registry.build_tts(spec(None), vendor.resources)
    with pytest.raises(ProviderConfigError, match="set MY_KEY"):
        registry.build_llm(spec("m", api_key_env="MY_KEY"), vendor.resources)


async def test_the_server_is_asked_first(vendor, spec):
    vendor.environ["MY_KEY"] = "bad-canary"
    await registry.probe("llm", spec("gpt-4.1"), vendor.resources)
    with pytest.raises(ProviderConfigError, match=r"did you mean 'gpt-4\.1'"):
        await registry.probe("llm", spec("gpt-4.11"), vendor.resources)
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("llm", spec("gpt-4.1", api_key_env="MY_KEY"), vendor.resources)
    assert "canary" not in str(caught.value)
    no_list = {"service": NAME, "base_url": vendor.url, "model": "m"}
    await registry.probe("tts", no_list, vendor.resources)


async def test_a_server_that_sends_wav_is_played_at_the_files_rate(vendor, speech):
    async def answer(_: web.Request) -> web.Response:
        audio = await vendor.sim.speech.say("The car park is behind the building.", 16000)
        return web.Response(body=written(audio.pcm16, 16000), content_type="audio/wav")

    async def mp3(_: web.Request) -> web.Response:
        return web.Response(body=b"ID3", content_type="audio/mpeg")

    app = web.Application()
    app.add_routes([web.post("/wav/audio/speech", answer), web.post("/mp3/audio/speech", mp3)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made = {"service": NAME, "model": "kokoro", "voice": "af_heart"}
    tts = registry.build_tts({**made, "base_url": f"{url}/wav"}, vendor.resources)
    async with watched(tts) as on:
        await on.speak("Hello")
        await on.line.sink.wait_for(TTSStoppedFrame)
        audio, rate_hz = on.audio, on.rate_hz
    assert rate_hz == 16000
    assert "car park" in (await speech.stt.transcribe(audio, rate_hz)).text.lower()
    tts = registry.build_tts({**made, "base_url": f"{url}/mp3"}, vendor.resources)
    async with watched(tts) as on:
        await on.speak("Hello")
        assert await on.errors.category() == "invalid_request"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 404, "type": "NotFoundError"}, ErrorCategory.INVALID_REQUEST),
        ({"code": 502, "message": "the model is down"}, ErrorCategory.SERVER),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, ErrorCategory.QUOTA),
        ({"type": "invalid_request_error", "code": None}, ErrorCategory.INVALID_REQUEST),
        ({"code": "session_expired", "type": "invalid_request_error"}, ErrorCategory.CONNECTIVITY),
        ({"type": "api_error"}, ErrorCategory.SERVER),
        ("out of memory", ErrorCategory.SERVER),
    ],
)
def test_an_error_on_the_wire_is_of_a_kind(error, kind):
    assert category_of(error) is kind
