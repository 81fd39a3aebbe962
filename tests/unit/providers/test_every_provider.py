"""What every line of the registries has besides: an entry of the catalogue, a simulated wire, a row
for users (`docs/adding-a-provider.md`)."""

from pathlib import Path

import pytest

from telebot.providers import registry
from telebot.providers.catalogue import shipped
from telebot.simulate.registry import VENDORS

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[3] / "docs"
TABLES = {
    **registry.PROVIDERS,
    "transcribers": registry.TRANSCRIBERS,
    "speakers": registry.SPEAKERS,
    "repliers": registry.REPLIERS,
    "direct": registry.DIRECT,
    "credentials": registry.CREDENTIALS,
}
NAMES = sorted({name for names in TABLES.values() for name in names} - registry.OURS)
# a package on this machine, and what anybody may serve: no vendor
NO_WIRE = {"faster-whisper"}
NO_PRICES = {"openai-compatible"}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_known_to_the_catalogue(name: str) -> None:
    catalogue = shipped()
    known = {each for key, row in catalogue.vendors.items() for each in (key, *row.served_as)}
    assert name in known | NO_PRICES or catalogue.is_free(name)


@pytest.mark.parametrize("name", sorted({*NAMES} - NO_WIRE))
def test_a_provider_can_be_rehearsed(name: str) -> None:
    assert {name, name.partition("-")[0]} & {*VENDORS}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_told_to_users(name: str) -> None:
    pages = "".join((DOCS / page).read_text() for page in ("providers.md", "voice.md", "chat.md"))
    assert f"`{name}`" in pages or name in pages
