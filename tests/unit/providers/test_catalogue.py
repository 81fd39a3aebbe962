"""The catalogue: what the vendors cost, which are gone, and a file with a mistake in it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.errors import ProviderConfigError
from telebot.call.model import UnitPrice
from telebot.config_file import SettingsError
from telebot.providers import registry
from telebot.providers.catalogue import BILLS, TOKENS, Catalogue, Price, load, shipped
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources

pytestmark = pytest.mark.unit

TODAY = date(2026, 11, 26)
NOT_ONE_VENDOR = {"openai-compatible"}  # whoever runs the server sets the price
USES = ("s", "socket_s", "characters", *TOKENS)

SMALL = """
as_of: 2026-11-20
free: [ours]
vendors:
  acme-voice:
    name: Acme Voice
    kind: hybrid
    status: active
    served_as: [acme]
    as_of: 2026-11-20
    models:
      listen: {kind: stt, price: {unit: minute, amount: 0.6, currency: USD}}
      open: {kind: stt, price: {unit: socket_hour, amount: 0.36, currency: USD}}
      speak:
        kind: tts
        matches: ["speak-*"]
        price: {unit: 1m_characters, amount: 30, currency: EUR}
      old: {kind: tts, shutdown_date: 2026-12-01, replacement: speak}
      odd: {kind: tts, price: {unit: character, currency: USD}}
      both:
        kind: realtime
        price:
          unit: 1m_tokens
          amounts: {text_in: 1, text_out: 2, audio_in: 3, audio_out: 4, audio_cached_in: 0.5}
          currency: USD
  acme-think:
    name: Acme Think
    kind: llm
    status: retiring
    served_as: [acme]
    as_of: 2026-11-20
    shutdown_date: 2027-01-06
    replacement: bcme
    models:
      big/one:
        kind: llm
        price: {unit: 1m_tokens, amounts: {text_in: 2, text_out: 8}, currency: USD}
"""


def written(tmp_path: Path, text: str) -> Catalogue:
    (tmp_path / "providers.yaml").write_text(text, encoding="utf-8")
    return load(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Catalogue:
    return written(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("kind", "provider", "unit", "amount"),
    [
        ("stt", "acme/listen", "s", 0.01),
        ("stt", "acme-voice/listen", "s", 0.01),
        ("stt", "acme/open", "socket_s", 0.0001),
        ("llm", "acme/big/one", "tokens_in", 2e-6),
        ("llm", "acme/big/one", "tokens_out", 8e-6),
        ("realtime", "acme/both", "audio_tokens_in", 3e-6),
        ("realtime", "acme/both", "text_tokens_out", 2e-6),
        ("realtime", "acme/both", "cached_tokens_in", 0.5e-6),
    ],
)
def test_a_price_is_of_one_unit_of_use(
    small: Catalogue, kind: str, provider: str, unit: str, amount: float
) -> None:
    price = small.price(kind, provider, unit)
    assert price is not None
    assert (price.amount, price.currency) == (pytest.approx(amount), "USD")


def test_a_price_has_its_currency_and_a_model_other_names(small: Catalogue) -> None:
    assert small.price("tts", "acme/speak-en", "characters") == UnitPrice(3e-5, "EUR")


@pytest.mark.parametrize(
    ("kind", "provider", "unit"),
    [
        ("stt", "acme/listen", "socket_s"),  # billed by what it hears, not by the socket
        ("stt", "acme/open", "s"),
        ("tts", "acme/odd", "characters"),  # the vendor's price is not known
        ("tts", "acme/old", "characters"),
        ("tts", "acme/listen", "s"),  # of another kind
        ("stt", "acme/nova", "s"),
        ("stt", "acme", "s"),
        ("stt", "bcme/listen", "s"),
        ("realtime", "acme/both", "tokens_in"),  # of text, or of audio?
        ("stt", "acme/listen", "replies"),
    ],
)
def test_what_is_not_known_is_none(small: Catalogue, kind: str, provider: str, unit: str) -> None:
    assert small.price(kind, provider, unit) is None


def test_what_runs_here_costs_nothing(small: Catalogue) -> None:
    assert small.price("stt", "ours/any", "s") == UnitPrice(0.0, "")
    for name in ("local", "dialog", "scripted", "faster-whisper/tiny.en", "piper"):
        price = shipped().price("stt", name, "s")
        assert price is not None
        assert price.amount == 0.0


@pytest.mark.parametrize(
    ("model", "kind", "day", "gone", "leaving"),
    [
        ("old", "tts", date(2026, 11, 30), None, "old of Acme Voice will be shut down on 2026-12"),
        ("old", "tts", date(2026, 12, 1), "old of Acme Voice was shut down on 2026-12-01", None),
        ("speak", "tts", date(2027, 2, 1), None, None),
        (None, "llm", date(2027, 1, 5), None, "Acme Think will be shut down on 2027-01-06"),
        (None, "llm", date(2027, 1, 6), "on 2027-01-06; use bcme instead", None),
        ("big/one", "llm", date(2027, 1, 6), "use bcme instead", None),
        (None, None, date(2027, 1, 6), None, None),  # its other half goes on
        (None, "tts", date(2027, 1, 6), None, None),
    ],
)
def test_an_end_has_a_day_and_a_way_on(
    *,
    small: Catalogue,
    model: str | None,
    kind: str | None,
    day: date,
    gone: str | None,
    leaving: str | None,
) -> None:
    for said, expected in (
        (small.gone("acme", model, day, kind), gone),
        (small.leaving("acme", model, day, kind), leaving),
    ):
        assert said is None if expected is None else said is not None and expected in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("status: retiring", "status: gone", "vendors.acme-think.status: Input should be 'active'"),
        (
            "amount: 0.6",
            "amount: 0",
            "providers.yaml:12: vendors.acme-voice.models.listen.price.am",
        ),
        ("amount: 0.6", "amount: much", "models.listen.price.amount"),
        ("unit: minute", "unit: fortnight", "models.listen.price.unit: Input should be 'second'"),
        ("kind: llm\n        price", "kind: llm\n        prize", "no such setting"),
        ("served_as", "server_as", "no such setting"),
        (
            "    kind: llm\n    status",
            "    kind: llm\n    parts: [dcme]\n    status",
            ": vendors.acme-think: no vendor",
        ),
        ("unit: minute, amount", "unit: minute, amounts: {text_in: 1}, amount", "one `amount:`"),
        ("currency: EUR", "currency: euro", "models.speak.price.currency"),
        ("2026-12-01", "someday", "models.old.shutdown_date"),
        ("as_of: 2026-11-20\nfree", "free", "as_of: is missing"),
    ],
)
def test_a_mistake_is_shown_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in SMALL
    with pytest.raises(SettingsError) as caught:
        written(tmp_path, SMALL.replace(old, new, 1))
    assert str(tmp_path / "providers.yaml") in str(caught.value)
    assert says in str(caught.value)


@given(st.sampled_from(sorted(BILLS)), st.floats(1e-6, 1e3), st.sampled_from(USES))
def test_no_price_is_of_more_than_one_unit(unit: str, amount: float, use: str) -> None:
    price = Price(unit=unit, amount=amount, currency="USD")  # type: ignore[arg-type]
    assert (price.of(use) is not None) == (BILLS[unit][0] == use)


OWN = """
prices:
  - {model: acme/listen, unit: minute, amount: 0.3, currency: USD}
  - {model: acme/odd, kind: tts, unit: 1m_characters, amount: 12, currency: USD, source: [contract]}
  - {model: "*", kind: tts, unit: 1m_characters, amount: 50, currency: USD}
  - {model: phone, kind: carrier, unit: minute, amount: 0.006, currency: USD}
"""


def test_an_operators_own_price_goes_first_and_an_assumed_one_last(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(OWN)
    own = written(tmp_path, SMALL)
    assert own.price("stt", "acme/listen", "s") == UnitPrice(pytest.approx(0.005), "USD")
    assert own.price("tts", "acme/odd", "characters") == UnitPrice(pytest.approx(12e-6), "USD")
    assert own.price("tts", "acme/speak-en", "characters") == UnitPrice(3e-5, "EUR")
    assert own.price("tts", "mine/kokoro", "characters") == UnitPrice(pytest.approx(5e-5), "USD")
    assert own.price("carrier", "phone", "s") == UnitPrice(pytest.approx(1e-4), "USD")
    assert own.price("stt", "mine/any", "s") is None
    assert own.price("tts", "ours/any", "characters") == UnitPrice(0.0, "")
    told = [own.priced(kind, name) for kind, name in
            (("stt", "acme/listen"), ("tts", "acme/odd"), ("tts", "mine/kokoro"))]  # fmt: skip
    assert [(found[0].source, found[0].verified) for found in told if found] == [
        (("operator",), True), (("contract",), True), (("assumed",), False),
    ]  # fmt: skip


def test_own_prices_are_beside_the_catalogue_that_ships(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(OWN)
    assert load(tmp_path).vendors == shipped().vendors
    assert load(tmp_path).price("carrier", "phone", "s") is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prices: [{model: a, unit: mile, amount: 1, currency: USD}]", "prices.yaml:1: prices"),
        ("prices: [{model: a, unit: minute, amount: -1, currency: USD}]", "greater than 0"),
        ("prices: [{unit: minute, amount: 1, currency: USD}]", "model: is missing"),
        ("price: []", "no such setting"),
    ],
)
def test_a_mistake_in_own_prices_is_shown(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(SettingsError, match=re.escape(says)):
        load(tmp_path)


def test_tokens_of_a_character_are_of_those_that_have_a_price() -> None:
    told = {"unit": "1m_tokens", "amounts": {"text_in": 1.0}, "currency": "USD"}
    price = Price(**told, a_character={"text_in": 0.5})
    assert price.of("characters") == pytest.approx(5e-7)
    with pytest.raises(ValueError, match="audio_out"):
        Price(**told, a_character={"audio_out": 0.5})


# --- the file that ships -------------------------------------------------------------------------


def test_a_folder_without_a_catalogue_has_the_one_that_ships(tmp_path: Path) -> None:
    assert load(tmp_path) is shipped()


def test_every_provider_of_the_registry_is_in_it() -> None:
    known = {name for key, each in shipped().vendors.items() for name in (key, *each.served_as)}
    for kind, names in registry.PROVIDERS.items():
        for name in sorted({*names} - NOT_ONE_VENDOR):
            price = shipped().price(kind, name, "s")
            assert name in known or (price is not None and price.amount == 0.0), name


def test_every_model_is_of_a_kind_its_vendor_has() -> None:
    for key, vendor in shipped().vendors.items():
        kinds = {model.kind for model in vendor.models.values()}
        own = {"conversational": "realtime"}.get(vendor.kind, vendor.kind)
        assert vendor.kind == "hybrid" or kinds <= {own}, key
        assert vendor.docs or vendor.same_as or vendor.parts or vendor.status == "retired", key


def test_every_price_is_of_use_and_none_is_zero() -> None:
    for key, vendor in shipped().vendors.items():
        for name, model in vendor.models.items():
            if model.price is None or (model.price.amount is None and not model.price.amounts):
                continue
            given = [model.price.of(use) for use in USES]
            assert [each for each in given if each is not None and each > 0], (key, name)
            assert model.price.source, (key, name)


def test_every_end_says_what_to_use_instead() -> None:
    for key, vendor in shipped().vendors.items():
        if vendor.status != "active":
            assert vendor.replacement, key
        for name, model in vendor.models.items():
            assert not model.shutdown_date or model.replacement, (key, name)


# --- an agent that names what is gone ------------------------------------------------------------


def resources(day: date = TODAY) -> Resources:
    return Resources(LocalSpeech(), {}, today=lambda: day)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("playht", "shut down on 2025-12-31; use "),
        ("lmnt", "shut down by September 2026; use "),
        ("hume", "shut down on 2026-11-13; use "),
        ("replica", "shut down by August 2026; use "),
        ({"service": "pipecat.services.hume.tts:HumeTTSService"}, "shut down on 2026-11-13"),
        ({"service": "cartesia", "model": "sonic-2"}, "shut down on 2026-06-01; use sonic-3.5"),
        ({"service": "rime", "settings": {"model": "arcana"}}, "shut down on 2026-08-15"),
    ],
)
def test_a_vendor_that_is_gone_says_so(spec: registry.Spec, says: str) -> None:
    with pytest.raises(ProviderConfigError, match=r"^speech\.tts: ") as caught:
        registry.build("tts", spec, resources())
    assert says in str(caught.value)
    assert "no provider" not in str(caught.value)


def test_a_model_is_good_until_its_last_day_and_warned_of() -> None:
    spec = {"service": "openai", "model": "whisper-1"}
    told = registry.warning("stt", spec, resources(date(2027, 2, 25)))
    assert told is not None
    assert "2027-02-26; use gpt-live-transcribe" in told
    after = resources(date(2027, 2, 26))
    assert registry.warning("stt", spec, after) is None
    with pytest.raises(ProviderConfigError, match="whisper-1 of OpenAI transcription was shut"):
        registry.build("stt", spec, after)
    assert registry.warning("stt", "local", after) is None
