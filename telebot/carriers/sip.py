"""SIP trunks as the rest of the house sees them; their work is done in `telebot/sip/`.

Calls come in by SIP itself (`sip/calls.py`), not by webhook or media socket, and go out over the
trunk that may dial the number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Self

from telebot.call.errors import CarrierError, Unable
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.settings import Settings
from telebot.sip.digits import send_digits
from telebot.sip.live import LiveCall
from telebot.sip.server import SipServer


class SipCarrier:
    """Every trunk of this server (a `Carrier` that `HasTrunks`, `Dials`, `HangsUp`, `Transfers`,
    `TransfersWarm` and `SendsDigits`)."""

    name = "sip"

    def __init__(self) -> None:
        self._server: SipServer | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry; `app.py` attaches the server that signals."""
        return cls()

    def attach(self, server: SipServer) -> None:
        """The server that carries its calls."""
        self._server = server

    def off(self) -> str | None:
        """Off where nothing listens."""
        if self._server is not None and self._server.why_off:
            return self._server.why_off
        return None

    @property
    def trunks(self) -> Collection[str]:
        """Those that calls may go out over."""
        known = self._server.trunks if self._server is not None else ()
        return [trunk.name for trunk in known if trunk.hosts and trunk.settings.prefixes]

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up over the call's trunk, or the first that may dial the number. Raises
        `Unable`, `CarrierError`."""
        if self._server is None or not self._server.address:
            raise Unable(self.off() or "SIP is not up")
        return self._server.dial(call, way.token, way.within_s)

    async def hang_up(self, call: Call) -> None:
        """BYE, CANCEL or a refusal, as the call's state wants it."""
        live = self._server.calls.find(call) if self._server is not None else None
        if live is not None:
            live.stop("bot_hangup")

    async def transfer(self, call: Call, to: str) -> None:
        """By REFER, else over a leg of ours. Raises `CarrierError`."""
        server, live = self._live(call)
        await server.handover.blind(live, to)

    async def transfer_warm(
        self, call: Call, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        """Ring `to` up over a trunk, tell them, and connect both. Raises `Unable` where no trunk
        may, `NotReached`, `CarrierError`."""
        server, live = self._live(call)
        await server.handover.warm(live, to, summary, within_s, answered)

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key them as events or by INFO, as the trunk has it. Raises `CarrierError`."""
        _, live = self._live(call)
        await send_digits(live, digits)

    def _live(self, call: Call) -> tuple[SipServer, LiveCall]:
        """Raises `CarrierError` where the call is over."""
        live = self._server.calls.find(call) if self._server is not None else None
        if self._server is None or live is None:
            raise CarrierError("the call is over")
        return self._server, live

    async def close(self) -> None:
        """Nothing of its own."""
