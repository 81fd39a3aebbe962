from __future__ import annotations

import warnings
from typing import Any

import pytest
import yaml
from hypothesis import given as examples
from hypothesis import strategies as st

from telebot.call.errors import ProviderConfigError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.local_stt import LocalSTTService
from telebot.providers.local_tts import LocalTTSService
from telebot.providers.registry import (
    PROVIDERS,
    Kind,
    build,
    build_llm,
    build_stt,
    build_tts,
    check,
)
from telebot.providers.resources import Resources
from telebot.providers.scripted import ScriptedLLMService, ScriptedSTTService, ScriptedTTSService

pytestmark = pytest.mark.unit

KEYS = dict.fromkeys(("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "ELEVENLABS_API_KEY"), "k")
DEEPGRAM = "pipecat.services.deepgram.stt:DeepgramSTTService"
OPENAI_LLM = "pipecat.services.openai.llm:OpenAILLMService"
OPENAI_TTS = "pipecat.services.openai.tts:OpenAITTSService"
ELEVENLABS = "pipecat.services.elevenlabs.tts:ElevenLabsTTSService"


def given(environ: dict[str, str] | None = None) -> Resources:
    return Resources(LocalSpeech(), environ or {})


@pytest.fixture(autouse=True)
def vendors_may_warn_at_import() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("stt", "local", LocalSTTService),
        ("stt", {"service": "local", "longest_s": 20}, LocalSTTService),
        ("tts", {"service": "local", "voice": "heart"}, LocalTTSService),
        ("stt", "scripted", ScriptedSTTService),
        ("llm", "scripted", ScriptedLLMService),
        ("tts", "scripted", ScriptedTTSService),
    ],
)
def test_a_name_is_a_service_of_ours(kind: Kind, spec: Any, expected: type[object]) -> None:
    assert type(build(kind, spec, given())) is expected


async def test_every_name_of_the_registry_can_be_built() -> None:
    for kind, names in PROVIDERS.items():
        for name in names:
            if name in ("local", "scripted"):
                assert check(kind, name, given()) is None


async def test_vendors_are_built_from_yaml_without_connecting() -> None:
    agent = yaml.safe_load(
        f"""
        stt: {{service: "{DEEPGRAM}", settings: {{model: nova-3, language: en-GB}}}}
        llm:
          service: "{OPENAI_LLM}"
          api_key_env: MY_KEY
          base_url: http://127.0.0.1:9/v1
          settings: {{model: gpt-4.1, temperature: 0.2}}
        tts:
          service: "{ELEVENLABS}"
          base_url: http://127.0.0.1:9
          settings: {{model: eleven_flash_v2_5, voice_id: abc}}
        """
    )
    keys = {**KEYS, "MY_KEY": "m"}
    stt = build_stt(agent["stt"], given(keys))
    assert (stt.settings.model, stt._init_sample_rate) == ("nova-3", 8000)
    llm = build_llm(agent["llm"], given(keys))
    assert str(llm._client.base_url) == "http://127.0.0.1:9/v1/"
    assert (llm._client.api_key, llm.settings.temperature) == ("m", 0.2)
    tts = build_tts(agent["tts"], given(keys))
    assert (tts.settings.voice, tts._init_sample_rate) == ("abc", 8000)
    assert tts._url == "ws://127.0.0.1:9"


async def test_a_voice_with_one_rate_says_its_own() -> None:
    tts = build_tts({"service": OPENAI_TTS}, given(KEYS))
    assert tts._init_sample_rate == 24000


async def test_addresses_come_from_the_vendors_variable() -> None:
    keys = {**KEYS, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "DEEPGRAM_BASE_URL": "http://x:9"}
    assert "127.0.0.1:9" in str(build_llm({"service": OPENAI_LLM}, given(keys))._client.base_url)
    environment = build_stt({"service": DEEPGRAM}, given(keys))._client._client_wrapper
    assert "x:9" in str(vars(environment.get_environment()))


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("stt", "locl", "did you mean 'local'"),
        ("tts", "", "names no service"),
        ("tts", {"voice": "heart"}, "names no service"),
        ("tts", {"service": "local", "voice": "emma"}, "write heart"),
        ("tts", {"service": "local", "voce": "heart"}, "did you mean 'voice'"),
        ("stt", {"service": "local", "longest_s": "long"}, "write seconds, 0.1 to 60"),
        ("llm", {"service": "scripted", "model": "x"}, "no option 'model'"),
        ("stt", {"service": "pipecat.services.deepgam.stt:X"}, "no module"),
        ("stt", {"service": ":"}, "no import string"),
        ("stt", {"service": "pipecat.services.deepgram.stt:DeepgramSTT"}, "DeepgramSTTService"),
        ("tts", {"service": DEEPGRAM}, "is no TTSService"),
        ("stt", {"service": "json:JSONDecoder"}, "is no STTService"),
        ("stt", {"service": DEEPGRAM, "api_key": "k"}, "did you mean 'api_key_env'"),
        ("stt", {"service": DEEPGRAM, "api_key_env": "NOPE"}, "set NOPE"),
        ("stt", {"service": DEEPGRAM, "settings": {"modle": 1}}, "did you mean 'model'"),
        ("stt", {"service": DEEPGRAM, "settings": ["model"]}, "name: value"),
        ("stt", {"service": DEEPGRAM, "options": {"chanels": 1}}, "did you mean 'channels'"),
        (
            "llm",
            {"service": "pipecat.services.mistral.llm:MistralLLMService"},
            "needs a key: set MISTRAL_API_KEY",
        ),
    ],
)
def test_a_fault_says_what_to_write(kind: Kind, spec: Any, says: str) -> None:
    with pytest.raises(ProviderConfigError) as caught:
        build(kind, spec, given(KEYS))
    assert says in str(caught.value)
    assert check(kind, spec, given(KEYS)) == str(caught.value)


@examples(st.text(max_size=30))
def test_any_name_is_built_or_refused_in_words(name: str) -> None:
    fault = check("stt", name, given())
    assert fault or name in PROVIDERS["stt"]


async def test_the_settings_left_out_are_the_services_own() -> None:
    stt = build_stt({"service": DEEPGRAM}, given(KEYS))
    assert stt.settings.model
