"""Agents made ready at start: what is wrong with a file is found there, and a voice that fails is
replaced for the phrases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import yaml
from virtual_time import run

from telebot.agent_settings import AgentSettings
from telebot.call.errors import ConfigError, ProviderError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.providers.scripted import ScriptedLLMService
from telebot.settings import VendorLimits, load_agents
from telebot.speech.agents import Agent, AgentLoader
from telebot.speech.brain import ChainMind, DialogBrainService
from telebot.speech.chains import Chains
from telebot.speech.failover import Nobody
from telebot.speech.phrases import Phrase, PhraseStore

pytestmark = pytest.mark.unit

DEEPGRAM = "pipecat.services.deepgram.stt:DeepgramSTTService"
OPENAI = "pipecat.services.openai.llm:OpenAILLMService"
ELEVENLABS = "pipecat.services.elevenlabs.tts:ElevenLabsTTSService"
KEYS = dict.fromkeys(("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "ELEVENLABS_API_KEY"), "k")
SCRIPTED = {"stt": "scripted", "llm": "scripted", "tts": "scripted"}
NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)


class Store(PhraseStore):
    """Notes which voice it was asked for; the voices of `failing` do not answer."""

    def __init__(self, *failing: str) -> None:
        super().__init__(Path("nowhere"))
        self.failing = failing
        self.asked: list[str] = []

    async def phrases(self, voice: str, texts: Mapping[str, str], tts: Any) -> dict[str, Phrase]:
        self.asked.append(voice)
        if any(name in voice for name in self.failing):
            raise ProviderError("the voice did not answer in time")
        return {name: Phrase(text, b"\xff") for name, text in texts.items()}


def settings_of(folder: Path, **tree: Any) -> AgentSettings:
    """The one agent of a folder whose file holds `tree`."""
    (folder / "agents").mkdir(exist_ok=True)
    tree = {"phrases": {"greeting": "Hello there."}, **tree}
    (folder / "agents" / "desk.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return load_agents(folder)["desk"]


def loader_of(store: Store, environ: Mapping[str, str] | None = None) -> AgentLoader:
    resources = Resources(LocalSpeech(), environ or {})
    return AgentLoader(resources, store, Chains(resources, lambda: 0.0))


def checked(folder: Path, environ: Mapping[str, str] | None = None, **tree: Any) -> Agent:
    loader = loader_of(Store(), environ)
    return loader.check(settings_of(folder, **tree))


def fault(folder: Path, environ: Mapping[str, str] | None = None, **tree: Any) -> str:
    """What is said about a file that cannot be used: its path first."""
    with pytest.raises(ConfigError) as raised:
        checked(folder, environ, **tree)
    said = str(raised.value)
    assert said.startswith(str(folder / "agents" / "desk.yaml"))
    return said.removeprefix(str(folder / "agents" / "desk.yaml"))


# --- what is wrong with a file -----------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Lundon", "London!", "../../etc/passwd", "/etc/passwd"])
def test_a_zone_there_is_not(tmp_path: Path, zone: str) -> None:
    said = fault(tmp_path, agent={"name": "desk", "timezone": zone})
    assert said == f":5: agent.timezone: no zone {zone!r}; write one like Europe/London"


@pytest.mark.parametrize("zone", ["", "."])
def test_no_zone_at_all(tmp_path: Path, zone: str) -> None:
    assert "no zone" in fault(tmp_path, agent={"name": "desk", "timezone": zone})


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("stt", "lokal", "no provider 'lokal' (did you mean 'local'?)"),
        ("tts", "hal", "no provider 'hal'"),
        ("llm", "gpt", "no provider 'gpt'"),
        ("stt", {"voice": "heart"}, "speech.stt: names no service"),
        ("tts", {"service": "local", "voise": "heart"}, "voise"),
        ("stt", {"service": DEEPGRAM}, "set DEEPGRAM_API_KEY"),
        ("llm", {"service": OPENAI}, "set OPENAI_API_KEY"),
        ("tts", {"service": "pipecat.services.nobody.tts:NobodyTTSService"}, "there is no module"),
        ("stt", {"service": OPENAI, "api_key_env": None}, "speech.stt needs one"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_provider_that_cannot_be_used(tmp_path: Path, kind: str, spec: Any, says: str) -> None:
    assert says in fault(tmp_path, speech={**SCRIPTED, kind: spec})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_key_of_another_name_is_looked_up_by_that_name(tmp_path: Path) -> None:
    speech = {**SCRIPTED, "stt": {"service": DEEPGRAM, "api_key_env": "OUR_KEY"}}
    assert "set OUR_KEY" in fault(tmp_path, KEYS, speech=speech)
    checked(tmp_path, {"OUR_KEY": "k"}, speech=speech)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_key_that_is_missing_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    services = {"stt": DEEPGRAM, "llm": OPENAI, "tts": ELEVENLABS}
    said = fault(tmp_path, speech={kind: {"service": path} for kind, path in services.items()})
    for line, kind, key in (
        (4, "stt", "DEEPGRAM_API_KEY"),
        (6, "llm", "OPENAI_API_KEY"),
        (8, "tts", "ELEVENLABS_API_KEY"),
    ):
        assert re.search(rf":{line}: speech\.{kind}: .*set {key} in the environment", said)


def test_a_fault_in_what_the_agent_says_names_its_line(tmp_path: Path) -> None:
    assert fault(tmp_path, intents={"hours": {"keywords": 7}}).startswith(":")


# --- an agent ----------------------------------------------------------------------------------


def test_the_brain_of_its_own_tells_the_time_of_its_zone(tmp_path: Path) -> None:
    agent = checked(tmp_path, agent={"name": "desk", "timezone": "Asia/Tokyo"})
    service, mind = agent.thinker(lambda: NOON, "+15550001", Nobody())
    assert isinstance(service, DialogBrainService)
    assert mind is service
    assert service._now().isoformat() == "2026-07-20T21:00:00+09:00"


def test_another_brain_is_a_language_model_without_tools(tmp_path: Path) -> None:
    service, mind = checked(tmp_path, speech=SCRIPTED).thinker(lambda: NOON, None, Nobody())
    assert isinstance(service, ScriptedLLMService)
    assert isinstance(mind, ChainMind)
    assert mind.expects is None
    assert mind.commit() == ()


@pytest.mark.parametrize(
    ("given", "instruction"),
    [
        ({}, "Be brief."),
        ({"settings": {"model": "gpt-5-mini"}}, "Be brief."),
        ({"settings": {"system_instruction": "Be long."}}, "Be long."),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_prompt_is_the_models_instruction(
    tmp_path: Path, given: dict[str, Any], instruction: str
) -> None:
    speech = {**SCRIPTED, "llm": {"service": OPENAI, **given}, "prompt": "Be brief."}
    service, _ = checked(tmp_path, KEYS, speech=speech).thinker(lambda: NOON, None, Nobody())
    assert service._settings.system_instruction == instruction


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vendors_stand_in_the_record_by_name_and_model(tmp_path: Path) -> None:
    speech = {
        "stt": {"service": DEEPGRAM, "settings": {"model": "nova-3"}},
        "llm": {"service": OPENAI, "settings": {"model": "gpt-5-mini"}},
        "tts": {"service": ELEVENLABS},
    }
    agent = checked(tmp_path, KEYS, speech=speech)
    assert agent.needs_vendor
    named = {"stt": "deepgram/nova-3", "llm": "openai/gpt-5-mini", "tts": "elevenlabs"}
    assert agent.providers == named


def test_ours_stand_in_the_record_by_their_names(tmp_path: Path) -> None:
    speech = {"stt": {"service": "local", "longest_s": 20}, "tts": "local"}
    agent = checked(tmp_path, speech=speech)
    assert agent.providers == {"stt": "local", "llm": "dialog", "tts": "local"}
    assert not agent.needs_vendor


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_vendor_is_enough_to_need_the_network(tmp_path: Path) -> None:
    for kind, service in (("stt", DEEPGRAM), ("llm", OPENAI), ("tts", ELEVENLABS)):
        agent = checked(tmp_path, KEYS, speech={**SCRIPTED, kind: {"service": service}})
        assert agent.needs_vendor, kind


# --- its phrases -------------------------------------------------------------------------------


def test_an_agent_has_its_phrases_in_its_own_voice(tmp_path: Path) -> None:
    store = Store()
    loader = loader_of(store)
    agent = run(loader.load(settings_of(tmp_path, speech=SCRIPTED)))
    assert [json.loads(voice)[0] for voice in store.asked] == ["scripted"]
    assert agent.phrases["greeting"].text == "Hello there."
    assert {"apology", "closing"} <= agent.phrases.keys(), "what every agent must be able to say"


def test_a_voice_is_named_with_all_that_shapes_it(tmp_path: Path) -> None:
    store = Store()
    loader = loader_of(store)
    voices: list[Any] = ["local", {"service": "local"}, {"service": "local", "voice": "heart"}]
    for tts in voices:
        run(loader.load(settings_of(tmp_path, speech={**SCRIPTED, "tts": tts})))
    run(
        loader.load(
            settings_of(tmp_path, speech={**SCRIPTED, "tts": dict(reversed(voices[2].items()))})
        )
    )
    assert len(set(store.asked)) == 3
    assert store.asked[2] == store.asked[3], "in whatever order it is written"


def test_a_voice_that_fails_at_the_start_is_replaced_for_the_phrases(tmp_path: Path) -> None:
    store = Store("scripted")
    loader = loader_of(store)
    with structlog.testing.capture_logs() as logs:
        agent = run(loader.load(settings_of(tmp_path, speech=SCRIPTED)))
    assert [json.loads(voice)[0] for voice in store.asked] == ["scripted", "local"]
    assert agent.phrases["greeting"].text == "Hello there."
    assert [line["agent"] for line in logs if line["log_level"] == "warning"] == ["desk"]


def test_a_file_at_fault_is_not_replaced(tmp_path: Path) -> None:
    loader = loader_of(Store())
    with pytest.raises(ConfigError):
        run(loader.load(settings_of(tmp_path, speech={**SCRIPTED, "tts": "hal"})))


# --- what cannot be kept -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_service_that_no_chain_watches_is_said_to_be_unwatched(tmp_path: Path) -> None:
    speech = {**SCRIPTED, "stt": {"service": DEEPGRAM}}
    settings = settings_of(tmp_path, speech=speech, call={"budget": 0.5})
    environ = {"DEEPGRAM_API_KEY": "k"}
    with structlog.testing.capture_logs() as logs:
        await loader_of(Store(), environ).load(settings)
    assert [line["why"] for line in logs] == ["the call's budget does not count it"]
    settings = settings_of(tmp_path, speech=SCRIPTED, call={"budget": 0.5})
    with structlog.testing.capture_logs() as logs:
        await loader_of(Store(), environ).load(settings)
    assert logs == []


async def test_a_session_counts_for_the_budget_but_not_for_its_vendors_limits(
    tmp_path: Path,
) -> None:
    resources = Resources(LocalSpeech(), {"OPENAI_API_KEY": "k"})
    speech = {**SCRIPTED, "realtime": "openai"}
    settings = settings_of(tmp_path, speech=speech, call={"budget": 0.5})
    limits = {"openai": VendorLimits(concurrent=1)}
    for pacing, said in ((limits, ["realtime"]), ({}, [])):
        loader = AgentLoader(resources, Store(), Chains(resources, lambda: 0.0, pacing=pacing))
        with structlog.testing.capture_logs() as logs:
            await loader.load(settings)
        assert [line["kind"] for line in logs] == said
