"""docs/agents.md against the code: its example works, its tables are whole."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telebot.dialog import phrases
from telebot.dialog.actions import Record
from telebot.dialog.agent_file import Check, Form, Intent, Slot
from telebot.dialog.brain import Brain

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 18, 15, 0, tzinfo=ZoneInfo("Europe/London"))


@pytest.fixture
def example(tmp_path: Path) -> Brain:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
    path = tmp_path / "hairdresser.yaml"
    path.write_text(blocks[0], encoding="utf-8")
    return Brain.load(path)


def test_the_example_holds_a_conversation(example: Brain) -> None:
    state = example.start(now=NOW)
    said = []
    for heard in (
        "How much does it cost and are you open on Monday?",
        "I need an appointment on Thursday at one",
        "At half past two, it's for Mary Smith",
        "Yes",
    ):
        reply = example.step(state, heard, now=NOW)
        said.append(reply.text)
        state = reply.state
    assert said[0] == "A cut is twenty-five pounds. I'm sorry, we are closed on Mondays."
    assert "from nine in the morning until noon and from two in the afternoon" in said[1]
    assert said[2].endswith("at half past two, for Mary Smith. Is that right?")
    booking = {"day": "2026-11-19", "time": "14:30", "name": "Mary Smith"}
    assert reply.actions == (Record("booking", booking),)


def test_closed_dates_are_closed(example: Brain) -> None:
    reply = example.step(example.start(now=NOW), "are you open on christmas eve", now=NOW)
    assert "closed on Thursday the twenty-fourth of December" in reply.text


def test_every_phrase_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", TEXT, re.M))
    assert {name: when for name, (_, when) in phrases.DEFAULTS.items()} == {
        name: when for name, when in rows.items() if name in phrases.DEFAULTS
    }


def test_every_key_is_explained() -> None:
    for model in (Intent, Form, Slot, Check):
        for key in model.model_fields:
            assert f"`{key}`" in TEXT or f"`{key}: true`" in TEXT, key


@pytest.mark.parametrize(
    "path", sorted((ROOT / "config" / "agents").glob("*.yaml")), ids=lambda p: p.stem
)
def test_agents_that_ship_load(path: Path) -> None:
    assert Brain.load(path).greeting()
