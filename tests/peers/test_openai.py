"""OpenAI through its own SDK and Pipecat's services, against its simulated wire."""

from __future__ import annotations

import openai
import pytest
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from service_line import running
from simulated import simulated

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry

pytestmark = pytest.mark.peers


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai"]) as server:
        yield server


async def test_a_model_answers_a_caller(vendor):
    llm = registry.build_llm("openai", vendor.resources)
    async with running(llm) as line:
        context = LLMContext([{"role": "user", "content": "When are you open?"}])
        await line.worker.queue_frame(LLMContextFrame(context))
        await line.sink.wait_for(LLMFullResponseEndFrame)
        said = "".join(frame.text for frame in line.sink.of(LLMTextFrame))
    assert said.startswith("We are open from Tuesday to Sunday")


async def test_a_voice_speaks(vendor, speech):
    tts = registry.build_tts("openai", vendor.resources)
    async with running(tts) as line:
        await line.worker.queue_frame(TTSSpeakFrame("The car park is behind the building."))
        await line.sink.wait_for(TTSStoppedFrame)
        audio = b"".join(frame.audio for frame in line.sink.of(TTSAudioRawFrame))
    heard = await speech.stt.transcribe(audio, 24000)
    assert "car park is behind the building" in heard.text.lower()


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refusal_is_an_error_of_the_service(vendor, status):
    vendor.fault(f"openai={status}")
    llm = registry.build_llm("openai", vendor.resources)
    client = openai.AsyncOpenAI(
        api_key="k", base_url=vendor.environ["OPENAI_BASE_URL"], max_retries=0
    )
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(
            model="gpt-4.1", messages=[{"role": "user", "content": "Hello"}]
        )
    assert caught.value.status_code == status
    await client.close()
    del llm


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("llm", {"service": "openai", "model": "gpt-4.1-mni"}, "did you mean 'gpt-4.1-mini'"),
        ("tts", {"service": "openai", "voice": "aloy"}, "did you mean 'alloy'"),
    ],
)
async def test_a_wrong_name_is_found_by_asking(vendor, kind, spec, says):
    with pytest.raises(ProviderConfigError, match=says):
        await registry.probe(kind, spec, vendor.resources)


async def test_a_wrong_key_is_found_by_asking(vendor):
    vendor.environ["OPENAI_API_KEY"] = "bad-canary"
    with pytest.raises(ProviderConfigError, match="refuses the key") as caught:
        await registry.probe("llm", "openai", vendor.resources)
    assert "canary" not in str(caught.value)
