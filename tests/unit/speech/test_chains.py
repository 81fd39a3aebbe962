"""Which providers an agent gets, and that nothing of the others is even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from telebot.agent_settings import AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.speech.chains import PATIENCE, PATIENT, plans

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NO_KEY = """
import sys
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.agent_settings import AgentSpeech
from telebot.speech.chains import plans
before = set(sys.modules)
for kind in ("stt", "llm", "tts"):
    plans(kind, AgentSpeech(prompt="Be brief."), Resources(LocalSpeech(), {}), "Be brief.")
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not new & {"openai", "anthropic", "deepgram", "elevenlabs", "groq", "google"}, new
"""


def named(kind, environ=None, **speech):
    resources = Resources(LocalSpeech(), environ or {})
    settled = AgentSpeech(**speech)
    return [plan.name for plan in plans(kind, settled, resources, settled.prompt)]


def test_without_keys_everything_runs_here_and_no_vendors_package_is_imported() -> None:
    assert [named(kind) for kind in ("stt", "llm", "tts")] == [["local"], ["dialog"], ["local"]]
    assert named("llm", prompt="Be brief.") == ["dialog"]
    done = subprocess.run([sys.executable, "-c", NO_KEY], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


async def test_the_vendors_whose_key_is_there_come_first() -> None:
    keys = {"DEEPGRAM_API_KEY": "k", "OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
    assert [name.partition("/")[0] for name in named("stt", keys)] == [
        "deepgram",
        "openai",
        "local",
    ]
    assert [name.partition("/")[0] for name in named("tts", keys)] == ["openai", "local"]
    llm = named("llm", keys, prompt="Be brief.")
    assert [name.partition("/")[0] for name in llm] == ["openai", "groq", "dialog"]
    assert named("llm", keys) == ["dialog"], "an agent of its own words keeps its own brain"


async def test_a_list_is_taken_as_it_is() -> None:
    keys = {"DEEPGRAM_API_KEY": "k"}
    stt = ["local", {"service": "deepgram", "model": "nova-2"}]
    assert named("stt", keys, stt=stt) == ["local", "deepgram/nova-2"]


def test_a_link_may_have_deadlines_of_its_own() -> None:
    resources = Resources(LocalSpeech(), {"DEEPGRAM_API_KEY": "k"})
    speech = AgentSpeech(stt=[{"service": "deepgram", "first_s": 1.5}, "local"])
    vendor, ours = plans("stt", speech, resources, "")
    assert vendor.patience.first_s == 1.5
    assert vendor.patience.start_s == PATIENCE["stt"].start_s
    assert ours.patience == PATIENT


@pytest.mark.parametrize(
    ("speech", "says"),
    [
        ({"stt": []}, r"write `stt: \[local\]`"),
        ({"stt": ["deepgram", "local"]}, "set DEEPGRAM_API_KEY"),
        ({"stt": [{"service": "local", "first_s": "soon"}]}, "write seconds"),
        ({"stt": ["lokal"]}, "did you mean 'local'"),
    ],
)
def test_a_fault_of_a_chain_says_what_to_write(speech, says) -> None:
    with pytest.raises(ProviderConfigError, match=says):
        named("stt", **speech)
