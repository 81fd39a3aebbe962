"""Which links an agent's file comes to: the brain by its names, prompts, and what is missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from telebot.agent_settings import AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.simulate.registry import variables
from telebot.speech.chains import PATIENT, Plan, plans

pytestmark = pytest.mark.unit

PROMPT = "You answer the phone."


def resources(*vendors: str) -> Resources:
    """With the keys of these vendors."""
    environ: dict[str, str] = {}
    for vendor in vendors:
        environ |= variables(vendor, "http://127.0.0.1:1")
    return Resources(cast("LocalSpeech", SimpleNamespace(stt=None, tts=None)), environ)


def planned(kind: Any, speech: dict[str, Any], *vendors: str) -> tuple[Plan, ...]:
    given = AgentSpeech.model_validate(speech)
    return plans(kind, given, resources(*vendors), given.prompt)


@pytest.mark.parametrize("brain", ["dialog", "local", {"service": "dialog"}])
async def test_the_brain_by_its_names(brain: Any) -> None:
    [_, last] = planned("llm", {"llm": ["openai", brain], "prompt": PROMPT}, "openai")
    assert (last.name, last.ours, last.patience) == ("dialog", True, PATIENT)


async def test_a_model_is_told_the_prompt_and_keeps_its_settings() -> None:
    wanted = {"service": "openai", "settings": {"temperature": 0.2}}
    [plan] = planned("llm", {"llm": wanted, "prompt": PROMPT}, "openai")
    assert isinstance(plan.spec, dict)
    assert plan.spec["settings"] == {"system_instruction": PROMPT, "temperature": 0.2}
    assert plan == planned("llm", {"llm": wanted, "prompt": PROMPT}, "openai")[0]


async def test_a_key_that_is_missing_is_told_where_a_vendor_is_named() -> None:
    with pytest.raises(ProviderConfigError, match="DEEPGRAM_API_KEY"):
        planned("stt", {"stt": ["deepgram", "local"]})


async def test_an_empty_list() -> None:
    with pytest.raises(ProviderConfigError, match=r"write `tts: \[local\]`"):
        planned("tts", {"tts": []})
