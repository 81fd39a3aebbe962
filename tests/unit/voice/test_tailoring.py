"""What holds where a request says nothing: preferences, privacy and flags in their order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from telebot.api.voice.shapes import SynthesizeRequest, TranscribeRequest
from telebot.records.choices import Stored
from telebot.voice.flags import Flag
from telebot.voice.tailoring import Tailor, said_in, tailored

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, tzinfo=UTC)
TRIAL = {
    "variants": [
        {"name": "old"},
        {"name": "new", "settings": {"model": {"tts": "acme"}, "speed": 1.5}},
    ]
}


class Kept:
    """Preferences by user and flags by name, as trees."""

    def __init__(self, users=None, flags=None):
        self.users = users or {}
        self._flags = {name: Stored(name, tree, NOW, NOW) for name, tree in (flags or {}).items()}

    async def preferences(self, owner, user):
        return self.users.get(user)

    async def flags(self):
        return self._flags


async def meant(kept, asked, owner="key"):
    """The request as it is meant, and what it runs under."""
    work = "tts" if isinstance(asked, SynthesizeRequest) else "stt"
    fields = frozenset(type(asked).model_fields)
    chosen = await Tailor(kept).chosen(owner, asked.user, [work], said_in(asked), fields)
    return tailored(asked, chosen, work), chosen.under


def speak(**said):
    return SynthesizeRequest(text="Good evening.", **said)


async def test_a_request_goes_before_its_user_who_goes_before_everybody():
    kept = Kept({"": {"speed": 0.8, "format": "wav"}, "anna": {"speed": 1.2, "language": "de"}})
    whole, _ = await meant(kept, speak())
    assert (whole.speed, whole.format, whole.language) == (0.8, "wav", None)
    whole, _ = await meant(kept, speak(user="anna", format="opus"))
    assert (whole.speed, whole.format, whole.language) == (1.2, "opus", "de")
    whole, _ = await meant(kept, speak(user="anna", speed=1.0))
    assert whole.speed == 1.0  # said, though it is the usual one
    heard, _ = await meant(kept, TranscribeRequest(user="anna"))
    assert heard.language == "de"


async def test_who_does_it_is_chosen_as_a_whole():
    users = {
        "": {"model": {"tts": "acme"}, "provider": {"tts": {"only": ["acme"], "sort": "price"}}}
    }
    kept = Kept(users)
    whole, _ = await meant(kept, speak())
    assert (whole.model, whole.provider.only) == ("acme", ("acme",))
    whole, _ = await meant(kept, speak(model="other"))
    assert (whole.model, whole.provider.only, whole.provider.sort) == ("other", (), None)
    whole, _ = await meant(kept, speak(provider={"order": ["other"]}))
    assert (whole.model, whole.provider.only, whole.provider.order) == (None, (), ("other",))
    whole, _ = await meant(kept, speak(provider={"ignore": ["third"]}))
    assert (whole.model, whole.provider.ignore) == ("acme", ("third",))
    assert whole.provider.only == ("acme",)
    heard, _ = await meant(kept, TranscribeRequest())
    assert heard.model is None


async def test_usual_voices_are_each_providers_own():
    kept = Kept({"": {"voice": {"acme": "a", "local": "l"}}, "anna": {"voice": {"acme": "b"}}})
    _, under = await meant(kept, speak(user="anna"))
    assert under.voices == {"acme": "b", "local": "l"}


async def test_privacy_binds_and_adds_up():
    kept = Kept({
        "": {"privacy": {"keep": False}},
        "anna": {"privacy": {"data_collection": "deny", "link": False, "keep": True}},
    })  # fmt: skip
    asked = speak(user="anna", provider={"data_collection": "allow"}, model="acme")
    whole, under = await meant(kept, asked)
    assert whole.provider.data_collection == "deny"
    assert not under.keep
    assert under.user == ""  # not linked with what is recorded
    _, under = await meant(kept, speak(user="ben"))
    assert under.user == "ben"


async def test_a_flag_acts_whole_or_not_at_all():
    kept = Kept({"anna": {"speed": 0.9}, "ben": {"privacy": {"experiments": False}}},
                {"trial": {**TRIAL, "percent": 100}})  # fmt: skip
    seen = Counter()
    for number in range(400):
        whole, under = await meant(kept, speak(user=f"u{number}"))
        seen[under.variant] += 1
        new = under.variant == "trial:new"
        assert (whole.model, whole.speed) == (("acme", 1.5) if new else (None, 1.0))
    assert set(seen) == {"trial:old", "trial:new"}
    assert 150 < seen["trial:new"] < 250
    for said in ({"speed": 1.0}, {"model": "x"}, {"voice": "x"}, {"provider": {"sort": "price"}}):
        whole, under = await meant(kept, speak(user="u1", **said))
        assert under.variant == ""
        assert whole.model == said.get("model")
    assert (await meant(kept, speak(user="anna")))[1].variant == ""
    assert (await meant(kept, speak(user="ben")))[1].variant == ""
    assert (await meant(kept, TranscribeRequest(user="u1")))[1].variant == ""


async def test_two_flags_never_choose_the_same_thing():
    flags = {
        "a": TRIAL,
        "b": TRIAL,
        "c": {"variants": [{"name": "on", "settings": {"format": "wav"}}]},
    }
    whole, under = await meant(Kept(flags=flags), speak(user="u"))
    assert [each.partition(":")[0] for each in under.variant.split(",")] == ["a", "c"]
    assert whole.format == "wav"


async def test_a_model_and_its_provider_are_one_choice():
    ordered = {"provider": {"tts": {"order": ["other"]}}}
    flags = {"a": TRIAL, "b": {"variants": [{"name": "on", "settings": ordered}]}}
    whole, under = await meant(Kept(flags=flags), speak(user="u"))
    assert under.variant.partition(":")[0] == "a"
    assert "b:" not in under.variant
    assert whole.provider.order == ()


async def test_where_nothing_is_chosen_a_request_stays_as_it_is():
    tailor = Tailor(Kept({"anna": {"speed": 2.0}}))
    assert (await tailor.plainly("key", None)).user == ""
    assert (await tailor.plainly("key", "ben")).user == "ben"
    assert await tailor.plainly("key", "anna") is None
    off = {"a": {**TRIAL, "enabled": False}}
    assert await Tailor(Kept(flags=off)).plainly("key", None) is not None
    assert await Tailor(Kept(flags={"a": TRIAL})).plainly("key", None) is None


async def test_a_flag_that_is_off_or_of_another_version_acts_on_nobody():
    flags = {"a": {**TRIAL, "enabled": False}, "b": {"variants": "?"}}
    assert (await meant(Kept(flags=flags), speak()))[1].variant == ""


async def test_who_was_placed_by_hand_is_told_apart():
    placed = {"variants": [{"name": "old", "users": ["key"]},
                           {"name": "new", "settings": {"speed": 2.0}, "users": ["key/anna"]}],
              "percent": 0}  # fmt: skip
    kept = Kept(flags={"trial": placed})
    whole, under = await meant(kept, speak(user="anna"))
    assert (whole.speed, under.variant) == (2.0, "trial:new!")
    assert (await meant(kept, speak(user="ben")))[1].variant == "trial:old!"
    assert (await meant(kept, speak(user="ben"), owner="other"))[1].variant == "trial:off"


@given(st.floats(0, 100), st.floats(0, 100), st.text(max_size=20))
def test_a_rollout_that_grows_keeps_those_who_are_in(one, other, user):
    less, more = sorted((one, other))
    small, large = (Flag.model_validate({**TRIAL, "percent": each}) for each in (less, more))
    was = small.drawn("trial", "key", user)
    assert was == ("off", None) or large.drawn("trial", "key", user) == was


def test_weights_and_percent_are_shares():
    flag = Flag.model_validate({
        "percent": 10,
        "variants": [{"name": "a", "weight": 3}, {"name": "b", "weight": 1}],
    })  # fmt: skip
    seen = Counter(flag.drawn("f", "key", str(number))[0] for number in range(20_000))
    assert seen["off"] / 20_000 == pytest.approx(0.9, abs=0.01)
    assert seen["b"] / (seen["a"] + seen["b"]) == pytest.approx(0.25, abs=0.05)
    again = Flag.model_validate({**flag.model_dump(), "seed": "other"})
    moved = sum(
        flag.drawn("f", "key", str(n)) != again.drawn("f", "key", str(n)) for n in range(999)
    )
    assert moved > 100


@pytest.mark.parametrize(
    "variants",
    [[], [{"name": "off"}], [{"name": "a"}, {"name": "a"}], [{"name": "A B"}],
     [{"name": "a", "weight": 0}], [{"name": "a", "settings": {"speed": 9}}],
     [{"name": "a", "settings": {"privacy": {}}}]],
)  # fmt: skip
def test_a_flag_that_cannot_be_is_refused(variants):
    with pytest.raises(ValidationError):
        Flag.model_validate({"variants": variants})
