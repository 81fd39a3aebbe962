"""A realtime session as its user prefers it, and as flags try it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from telebot.records.choices import Stored
from telebot.voice.meaning import meant
from telebot.voice.sessions import SessionRequest
from telebot.voice.tailoring import Tailor

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PREFERS = {
    "model": {"stt": "acme/hears", "tts": "acme", "llm": "thinks"},
    "voice": {"acme": "anna"},
    "language": "de",
    "agent": "desk",
}
TRIAL = {"variants": [{"name": "new", "settings": {"model": {"tts": "other"}}}]}
AGENTS = {"variants": [{"name": "new", "settings": {"agent": "kind"}}]}


class Kept:
    """Preferences of everybody, and flags."""

    def __init__(self, prefers=None, **flags):
        self._prefers = prefers
        self._flags = {name: Stored(name, tree, NOW, NOW) for name, tree in flags.items()}

    async def preferences(self, owner, user):
        return None if user else self._prefers

    async def flags(self):
        return self._flags


async def session(kept, **asked):
    return await meant(Tailor(kept), "key", SessionRequest.model_validate(asked))


async def test_what_the_request_does_not_say_is_as_the_user_prefers():
    found = await session(Kept(PREFERS))
    assert (found.request.language, found.request.agent) == ("de", "desk")
    assert found.request.named == {"stt": "acme/hears", "llm": "thinks", "tts": "acme"}
    assert found.under.voices == {"acme": "anna"}


async def test_what_it_says_stays():
    found = await session(
        Kept(PREFERS), language="en", voice="ben", model="other", provider={"stt": "mine"},
        instructions="Be kind.",
    )  # fmt: skip
    asked = found.request
    assert (asked.language, asked.voice, asked.agent) == ("en", "ben", None)
    assert asked.named == {"stt": "mine", "llm": "other", "tts": "acme"}
    found = await session(Kept(PREFERS), provider={"only": ["mine"]})
    assert found.request.named == {}
    assert {work: whom.only for work, whom in found.whom.items()} == dict.fromkeys(
        ("stt", "llm", "tts", "realtime"), ("mine",)
    )


async def test_who_may_is_preferred_for_each_kind_of_work():
    kept = Kept({"provider": {"tts": {"sort": "price", "ignore": ["acme"]}}})
    found = await session(kept, provider={"ignore": ["other"]})
    assert (found.whom["tts"].sort, found.whom["tts"].ignore) == ("price", ("other",))
    assert (found.whom["stt"].sort, found.whom["stt"].ignore) == (None, ("other",))


async def test_privacy_binds():
    private = {"privacy": {"data_collection": "deny"}}
    told = {"data_collection": "allow", "stt": "acme"}
    for mode in ("chain", "direct"):
        found = await session(Kept(private), provider=told, mode=mode)
        assert found.request.provider.data_collection == "deny"
        assert {whom.data_collection for whom in found.whom.values()} == {"deny"}
    found = await session(Kept(PREFERS))
    assert found.request.provider.data_collection == "allow"


async def test_a_flag_tries_another_voice_and_is_told():
    found = await session(Kept(new=TRIAL))
    assert (found.request.named, found.under.variant) == ({"tts": "other"}, "new:new")
    found = await session(Kept(new=TRIAL), provider={"stt": "mine"})
    assert found.under.variant == "new:new", "another kind of work was named"
    found = await session(Kept(new=TRIAL, who=AGENTS))
    assert (found.request.agent, found.under.variant) == ("kind", "new:new,who:new")


@pytest.mark.parametrize(
    "said",
    [
        {"provider": {"tts": "mine"}},
        {"provider": {"order": ["mine"]}},
        {"provider": {"realtime": "mine"}},
        {"mode": "direct"},
    ],
)
async def test_a_flag_acts_on_nothing_that_the_session_has_chosen(said):
    found = await session(Kept(new=TRIAL), **said)
    assert "other" not in found.request.named.values()
    assert found.under.variant == ""


async def test_an_agent_is_tried_by_a_vendors_session_too():
    found = await session(Kept(new=TRIAL, who=AGENTS), mode="direct")
    assert (found.request.agent, found.under.variant) == ("kind", "who:new")
