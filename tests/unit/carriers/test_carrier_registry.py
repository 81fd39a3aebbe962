"""One list of carriers, loaded when first used, and nowhere else."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import telebot
from telebot.call import ports
from telebot.carriers import port
from telebot.carriers.registry import CARRIERS, Carriers, load
from telebot.settings import load as load_settings

pytestmark = pytest.mark.unit

PACKAGE = Path(telebot.__file__).parent
# words that mean other things elsewhere: `local` is a provider and a carrier, `sip` a room
COMMON = {
    "local": ("web", "call", "carriers"),
    "sip": ("web", "api", "call", "speech"),
    "audiosocket": ("web", "api", "call", "speech", "carriers"),
}


@pytest.fixture
def carriers(tmp_path):
    return Carriers(load_settings(environ={}, overrides={"server.data": str(tmp_path)}))


ABILITIES = (
    *(port.Carrier, port.AnswersWebhooks, port.StreamsMedia, port.OffersOnMedia),
    *(ports.HangsUp, ports.Transfers, ports.TransfersWarm, ports.Dials, ports.SendsDigits),
)


@pytest.mark.parametrize("name", CARRIERS)
def test_every_entry_is_a_carrier(carriers, name):
    carrier = carriers.get(name)
    assert carrier.name == name
    assert carriers.get(name) is carrier
    assert isinstance(carrier, port.Carrier)


@pytest.mark.parametrize("name", CARRIERS)
def test_what_a_carrier_can_do_it_does_as_asked(carriers, name):
    carrier = carriers.get(name)
    for ability in ABILITIES:
        methods = [m for m in vars(ability) if callable(vars(ability)[m]) and m[0] != "_"]
        assert len(methods) <= 6
        if isinstance(carrier, ability):
            for method in methods:
                ours = inspect.signature(getattr(load(name), method))
                asked = inspect.signature(vars(ability)[method])
                assert list(ours.parameters) == list(asked.parameters), method


async def test_all_of_them_and_no_other(carriers):
    assert [carrier.name for carrier in carriers] == list(CARRIERS)
    assert carriers.get("nobody") is None
    assert carriers.get("../twilio") is None
    await carriers.close()


@pytest.mark.parametrize("name", CARRIERS)
def test_no_list_of_carriers_anywhere_else(name):
    allowed = {PACKAGE / "carriers" / "registry.py", *(PACKAGE / "carriers").glob(f"{name}*.py")}
    rooms = [PACKAGE / room for room in COMMON[name]] if name in COMMON else [PACKAGE]
    written = re.compile(rf"""["'/]{name}["'/]""")
    found = [
        str(path.relative_to(PACKAGE))
        for room in rooms
        for path in room.rglob("*.py")
        if PACKAGE / "phone" not in path.parents  # it plays the carriers, from the other side
        and path not in allowed
        and written.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_nothing_is_loaded_before_it_is_used():
    code = "import sys, telebot.carriers.registry; print(any('twilio' in m for m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_the_sdk_is_not_loaded_for_a_carrier_that_is_off():
    code = (
        "import sys; from telebot.carriers.twilio import TwilioCarrier, TwilioSettings;"
        "TwilioCarrier(TwilioSettings()); print('twilio.rest' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
