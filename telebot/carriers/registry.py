"""The one list of carriers: a name and where its class stands, loaded when first used.

A new carrier is its own file plus one line here. `web/` asks `Carriers` by the name in the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import cast

from telebot.carriers.port import Carrier, CarrierClass
from telebot.settings import Settings

CARRIERS = {
    "sip": "telebot.carriers.sip:SipCarrier",
    "twilio": "telebot.carriers.twilio:TwilioCarrier",
    "telnyx": "telebot.carriers.telnyx:TelnyxCarrier",
    "plivo": "telebot.carriers.plivo:PlivoCarrier",
    "vonage": "telebot.carriers.vonage:VonageCarrier",
    "exotel": "telebot.carriers.exotel:ExotelCarrier",
    "asterisk": "telebot.carriers.asterisk:AsteriskCarrier",
    "audiosocket": "telebot.carriers.audiosocket:AudioSocketCarrier",
    "freeswitch": "telebot.carriers.freeswitch:FreeswitchCarrier",
    "audiofork": "telebot.carriers.audiofork:AudioforkCarrier",
    "jambonz": "telebot.carriers.jambonz:JambonzCarrier",
    "genesys": "telebot.carriers.genesys:GenesysCarrier",
    "local": "telebot.carriers.local:LocalCarrier",
}


def load(name: str) -> CarrierClass:
    """The class of a registered carrier. Raises KeyError on a name nobody registered."""
    module, _, attribute = CARRIERS[name].partition(":")
    return cast(CarrierClass, getattr(import_module(module), attribute))


class Carriers:
    """The carriers of one server, each built when first asked for. Owns them until `close`."""

    def __init__(self, settings: Settings) -> None:
        """Raises `SettingsError` on settings of a carrier that nobody registered."""
        settings.check_carriers(CARRIERS)
        self._settings = settings
        self._built: dict[str, Carrier] = {}

    def __iter__(self) -> Iterator[Carrier]:
        """Every registered carrier, the ones that are off too."""
        return (self._get(name) for name in CARRIERS)

    def get(self, name: str) -> Carrier | None:
        """The carrier of that name, or None where there is none."""
        return self._get(name) if name in CARRIERS else None

    async def close(self) -> None:
        """Close every carrier that was built."""
        for carrier in self._built.values():
            await carrier.close()

    def _get(self, name: str) -> Carrier:
        if name not in self._built:
            self._built[name] = load(name).from_settings(self._settings)
        return self._built[name]
