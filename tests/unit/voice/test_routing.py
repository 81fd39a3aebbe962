"""Whom a request may ask, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from virtual_time import run

from telebot.call.errors import ApiError, ProviderConfigError
from telebot.providers import registry
from telebot.providers.breaker import Breakers
from telebot.providers.failure import Cause, Failure
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.records.keys import ApiKey, Scope
from telebot.voice.offers import KNOWN_S, MOST_KNOWN, Means, Offers
from telebot.voice.permits import ANY, Permit, permit_of
from telebot.voice.preferences import Preferences
from telebot.voice.routing import MOST_TRIED, KeySource, Router, Skipped, Wish

pytestmark = pytest.mark.unit

ENVIRON = {"OPENAI_API_KEY": "k"}


def ordered(
    work="stt", *, model=None, environ=ENVIRON, own=(), failed=(), needs=(), permit=ANY, **prefers
):
    async def scene():
        house = Resources(LocalSpeech(), environ)
        mine = [
            KeySource(house.with_key("openai", key), True, "openai", permit=permit) for key in own
        ]
        keys = [*mine, KeySource(house, permit=permit)]
        breakers = Breakers(lambda: 0.0)
        router = Router(Offers(house), breakers)
        wish = Wish(work, model, Preferences.model_validate(prefers), frozenset(needs))
        try:
            found = router.ordered(wish, keys)
            for name in failed:
                offer = next(each for each in found if each.name == name)
                router.breaker(offer).failed(Failure(Cause.UNREACHABLE))
            return router.ordered(wish, keys)
        finally:
            await house.close()

    return run(scene())


def names(*args, **kwargs):
    return [offer.name for offer in ordered(*args, **kwargs)]


def test_without_a_wish_the_usual_one_goes_first_and_this_machine_last():
    assert names() == ["openai/gpt-transcribe", "local"]
    assert names(environ={}) == ["local"]


@pytest.mark.parametrize(
    ("model", "first"),
    [
        ("local", "local"),
        ("openai", "openai/gpt-transcribe"),
        ("openai/whisper-1", "openai/whisper-1"),
        ("whisper-1", "openai/whisper-1"),
    ],
)
def test_a_model_is_named_in_any_way(model, first):
    assert names(model=model)[0] == first


@pytest.mark.parametrize("model", ["nobody", "nobody/none", "playht", "openai/"])
def test_a_model_that_nobody_has_is_not_found(model):
    if model == "openai/":
        assert names(model=model)[0].startswith("openai")
        return
    with pytest.raises(ApiError) as raised:
        names("tts", model=model)
    assert raised.value.status == 404


def test_a_model_without_a_key_is_not_found():
    with pytest.raises(ApiError, match="OPENAI_API_KEY"):
        names(model="whisper-1", environ={})


def test_a_named_model_is_followed_by_others_unless_they_are_not_wanted():
    assert names(model="local") == ["local", "openai/gpt-transcribe"]
    assert names(model="local", allow_fallbacks=False) == ["local"]


@pytest.mark.parametrize(
    ("prefers", "expected"),
    [
        ({"order": ["local"]}, ["local", "openai/gpt-transcribe"]),
        ({"only": ["local"]}, ["local"]),
        ({"ignore": ["openai"]}, ["local"]),
        ({"ignore": ["openai/gpt-transcribe"]}, ["local"]),
        ({"data_collection": "deny"}, ["local"]),
        ({"sort": "price"}, ["local", "openai/gpt-transcribe"]),
        ({"max_price": {"minute": 0.0001}}, ["local"]),
    ],
)
def test_preferences(prefers, expected):
    assert names(**prefers) == expected


def test_this_machine_stays_the_last_resort_however_many_there_are():
    vendors = ("DEEPGRAM", "OPENAI", "ELEVENLABS", "ASSEMBLYAI", "GLADIA", "GROQ", "SONIOX")
    found = ordered(environ={f"{name}_API_KEY": "k" for name in vendors})
    assert [len(found), found[-1].name, found.skipped] == [MOST_TRIED, "local", ()]


def test_only_those_that_can_do_it():
    assert names(model="whisper-1", needs={"words"}, require_parameters=True) == [
        "openai/whisper-1"
    ]
    assert names(model="whisper-1", needs={"words"}) == [
        "openai/whisper-1",
        "openai/gpt-transcribe",
        "local",
    ]


def test_nobody_left():
    with pytest.raises(ApiError) as raised:
        names(only=["nobody"])
    assert (raised.value.status, raised.value.code) == (400, "no_provider")


def test_who_is_out_goes_last():
    assert names(failed=["openai/gpt-transcribe"]) == ["local", "openai/gpt-transcribe"]


def test_the_owners_key_goes_before_the_houses():
    found = ordered(own=["mine"])
    assert [(offer.name, offer.own_key) for offer in found][:2] == [
        ("openai/gpt-transcribe", True),
        ("openai/gpt-transcribe", False),
    ]


def test_every_provider_by_name_is_known_to_the_catalogue_or_ours():
    catalogue = Resources(LocalSpeech(), {}).catalogue
    served = {name for vendor in catalogue.vendors.values() for name in vendor.served_as}
    for name in {*registry.TRANSCRIBERS, *registry.SPEAKERS} - registry.OURS:
        assert name in {*served, *catalogue.vendors}, name


def test_the_houses_offers_are_kept_for_a_while_and_no_longer():
    async def scene():
        at_s = 0.0
        environ = dict(ENVIRON)
        house = Resources(LocalSpeech(), environ)
        offers = Offers(house, clock=lambda: at_s)
        kept = offers.named("stt", "whisper-1", Means(house))
        assert offers.named("stt", "whisper-1", Means(house)) is kept
        mine = house.with_key("openai", "other")
        assert offers.named("stt", "whisper-1", Means(mine, own=True)).account == "other"
        del environ["OPENAI_API_KEY"]
        assert [each.name for each in offers.ready("stt", Means(house))][-1] == "local"
        at_s = KNOWN_S
        with pytest.raises(ProviderConfigError, match="OPENAI_API_KEY"):
            offers.named("stt", "whisper-1", Means(house))
        for number in range(3 * MOST_KNOWN):
            with pytest.raises(ProviderConfigError):
                offers.named("stt", f"nobody-{number}", Means(house))
        assert len(offers._known) <= MOST_KNOWN
        await house.close()

    run(scene())


@pytest.mark.parametrize(
    ("models", "found"),
    [
        (("openai/*",), ["openai/gpt-transcribe"]),
        (("openai",), ["openai/gpt-transcribe"]),
        (("openai/whisper-1",), ["openai/whisper-1"]),
        (("openai/whisper-*", "local"), ["local"]),
        (("local",), ["local"]),
    ],
)
def test_a_key_uses_what_it_may(models, found):
    assert names(permit=Permit(models)) == found
    assert names(permit=Permit(models), own=["k2"])[0] == found[0]


def test_what_a_key_may_not_use_is_said():
    for wish in (
        {"model": "openai"},
        {"only": ["openai"]},
        {"order": ["openai"], "only": ["openai"]},
    ):
        with pytest.raises(ApiError, match="may use deepgram/") as raised:
            names(permit=Permit(("deepgram/*", "local")), **wish)
        assert (raised.value.status, raised.value.code) == (403, "model_not_allowed")


def test_a_viewer_spends_what_it_has_been_given():
    def key(scope: Scope, budget: float | None = None) -> ApiKey:
        now = datetime.now(UTC)
        return ApiKey("i", "n", scope, "created", now, None, None, monthly_budget=budget)

    assert names(permit=permit_of(key(Scope.VIEWER))) == ["local"]
    assert names(permit=permit_of(None)) == ["local"]
    with pytest.raises(ApiError, match="monthly budget"):
        names(model="openai", permit=permit_of(key(Scope.VIEWER)))
    for spends in (key(Scope.VIEWER, 1.0), key(Scope.OPERATOR), key(Scope.ADMIN)):
        assert names(permit=permit_of(spends)) == ["openai/gpt-transcribe", "local"]


def test_what_nobody_else_can_come_into_question_for_is_at_home():
    home = {"usual": ("local",), "model": "local"}
    assert Wish("llm", **home).at_home
    assert Wish("llm", usual=("local",)).at_home
    assert not Wish("llm", model="local").at_home  # others follow where it fails
    assert not Wish("llm", usual=("local", {"service": "acme"})).at_home
    ordered = Preferences.model_validate({"order": ["acme"]})
    assert not Wish("llm", **home, prefers=ordered).at_home


def test_with_a_budget_only_those_are_asked_whose_price_is_known():
    budget, rime = Permit(monthly_budget=5.0), {"RIME_API_KEY": "k"}
    assert names("tts", environ=rime, permit=budget) == ["local"]
    assert ordered("tts", environ=rime, permit=budget).skipped == (
        Skipped("rime/coda", "price_unknown"),
    )
    assert names("tts", model="openai", permit=budget)[0] == "openai/gpt-4o-mini-tts"
    with pytest.raises(ApiError, match="price of rime/coda is not known") as raised:
        names("tts", environ=rime, model="rime", permit=budget)
    assert (raised.value.status, raised.value.code) == (403, "price_unknown")
