"""What carriers can do, told as it is, and missed where an agent wants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from telebot import abilities_page
from telebot.call.ports import Dials, Transfers, TransfersWarm
from telebot.carriers.abilities import DIGITS, chosen, missing
from telebot.carriers.abilities import can as able
from telebot.dialog.actions import Transfer
from telebot.settings import load

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3] / "docs" / "carriers" / "README.md"
BLIND, WARM = Transfer("+442079460018"), Transfer("+442079460018", warm=True)


def test_the_page_is_the_generated_one():
    assert PAGE.read_text("utf-8") == abilities_page.page(), (
        "run: python -m telebot.abilities_page > docs/carriers/README.md"
    )


class Plain:
    """A carrier that carries, and no more."""

    name = "plain"
    why: str | None = None

    def off(self):
        return self.why

    async def close(self): ...


class Puts(Plain, Transfers):
    name = "puts"

    async def transfer(self, call, to): ...


class Tells(Puts, TransfersWarm):
    name = "tells"

    async def transfer_warm(self, call, to, summary, within_s, answered): ...


class Rings(Plain, Dials):
    name = "rings"

    async def dial(self, call, way): ...


class Here(Plain):
    by_host = True


def told(carriers, transfers, **outbound):
    settings = load(environ={}, overrides={f"outbound.{key}": it for key, it in outbound.items()})
    return [f"{it.who}: {it.why}" for it in missing(settings, carriers, {"desk": transfers})]


@pytest.mark.parametrize(
    ("carrier", "transfers", "ability"),
    [
        (Plain, [BLIND], "agent desk: plain cannot transfer"),
        (Plain, [WARM], "agent desk: plain cannot transfer"),
        (Puts, [BLIND], ""),
        (Puts, [BLIND, WARM], "agent desk: puts cannot warm transfer"),
        (Tells, [BLIND, WARM], ""),
        (Plain, [], ""),
        (Here, [WARM], ""),
    ],
)
def test_what_an_agent_misses(carrier, transfers, ability):
    found = told([carrier()], transfers)
    assert [line.partition(";")[0] for line in found] == ([ability] if ability else [])


def test_a_carrier_that_is_off_is_not_missed():
    off = Plain()
    off.why = "no token"
    assert told([off], [WARM]) == []


def test_calls_that_nobody_can_make():
    allowed = {"allowed_prefixes": ["+44"]}
    [line] = told([Plain()], [], **allowed)
    assert line.startswith("outbound: no carrier that is on can make calls")
    assert told([Plain(), Rings()], [], **allowed) == []
    assert told([Plain(), Rings()], [], **allowed, carrier="rings") == []
    [line] = told([Plain(), Rings()], [], **allowed, carrier="plain")
    assert line.startswith("outbound.carrier: plain cannot make calls")


def test_a_carrier_is_chosen_by_its_settings_or_its_environment():
    assert not chosen(load(environ={}), Plain())
    assert chosen(load(environ={"PLAIN_TOKEN": "x"}), Plain())


def test_keys_that_the_wire_itself_carries():
    assert not able(Plain(), DIGITS)
