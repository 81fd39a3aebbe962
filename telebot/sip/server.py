"""SIP of one server: the stack, its calls and their media, opened and closed together.

`app.py` builds it; calls go from `stack.py` to `calls.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import structlog

import telebot
from telebot.call.admission import Admission
from telebot.call.errors import ConfigError, Unable
from telebot.call.events import Conversations
from telebot.call.model import Call
from telebot.settings import Settings
from telebot.sip import trunks
from telebot.sip.calls import SipCalls
from telebot.sip.live import Surroundings
from telebot.sip.placing import Placing
from telebot.sip.ports import Ports
from telebot.sip.registrations import Registration, Registrations
from telebot.sip.rtp import RtpStream
from telebot.sip.stack import Listening, Stack
from telebot.sip.targets import Targets, split
from telebot.sip.transfers import Handover, Speaks
from telebot.sip.trunks import KnownTrunk

SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # RFC 5737, RFC 3849

log = structlog.get_logger(__name__)


class SipServer:
    """Takes calls from trunks once it is open."""

    def __init__(
        self,
        settings: Settings,
        admission: Admission,
        conversations: Conversations,
        carrier: str,
        speak: Speaks | None = None,
    ) -> None:
        """`carrier` is the name that its calls bear, `speak` a voice for warm transfers. Raises
        `SettingsError`."""
        self._settings = settings
        self._host, _, port = settings.server.sip.rpartition(":")
        self._host = self._host.strip("[]")
        self._advertised = settings.sip.advertise or own_address(self._host)
        self.trunks = trunks.load(settings.config_dir, settings.environ)
        self.ports = Ports(*settings.sip.rtp_ports)
        self.calls = SipCalls(Surroundings(carrier, admission, conversations, self._open_media))
        agent = f"telebot/{telebot.__version__}"
        listening = Listening(
            self._host,
            int(port),
            self._advertised,
            agent,
            self.trunks,
            lambda: admission.draining,
        )
        self.stack = Stack(listening, self.calls.invited)
        nameserver = settings.sip.nameserver and split(settings.sip.nameserver)
        self._targets = Targets((nameserver[0], nameserver[1] or 53) if nameserver else None)
        self.placing = Placing(self.stack, self._targets)
        self.registrations = Registrations([])
        self.handover = Handover(self.placing, self._open_media, self.trunk_near, speak)
        self.address = ""  # that it really listens on; "" where it does not
        self.why_off = ""

    async def open(self) -> None:
        """Listen. Where nobody asked for SIP, an address that another program has is no fault: a
        PBX may live on this machine. Raises `ConfigError`."""
        try:
            port = await self.stack.open()
        except ConfigError as error:
            if "server.sip" in self._settings.sources:
                raise
            self.why_off = str(error)
            log.warning("sip_off", why=self.why_off)
            return
        self.address = f"{self._host}:{port}"
        own = f"{self._advertised}:{port}"
        self.registrations = Registrations(
            [
                Registration(trunk, self.trunks, self._targets, self.stack.ask, own=own)
                for trunk in self.trunks
                if trunk.settings.outbound.registers
            ]
        )
        self.registrations.open()

    async def close(self) -> None:
        """Take no more calls from registrars, hang up every call, then stop listening."""
        await self.registrations.close()
        await self.calls.close()
        await self.stack.close()
        self.ports.close()

    def dial(self, call: Call, token: str, within_s: float) -> str:
        """Make a call; its Call-ID. Raises `Unable` where no trunk may dial the number,
        `CarrierError` where its lines are busy."""
        trunk = self.trunk_for(call.offer.phone_to, call.offer.trunk)
        return self.calls.place(self.placing, trunk, call, token, within_s)

    def trunk_for(self, number: str, name: str = "") -> KnownTrunk:
        """The trunk of that name, or the first, that may dial `number`. Raises `Unable`."""
        for trunk in self.trunks:
            if name in ("", trunk.name) and trunk.hosts and trunk.may_dial(number):
                return trunk
        which = f"trunk {name} may not" if name else "no trunk may"
        raise Unable(f"{which} dial this number: see `prefixes` and `outbound.hosts`")

    def trunk_near(self, number: str, name: str) -> KnownTrunk:
        """The trunk of that name where it may dial `number`, else the first that may. Raises
        `Unable`."""
        try:
            return self.trunk_for(number, name)
        except Unable:
            return self.trunk_for(number)

    def registered(self) -> dict[str, bool]:
        """Which trunks that register are registered."""
        return self.registrations.registered()

    def check(self) -> tuple[bool, Mapping[str, Any]]:
        """SIP's part of `/health/ready`."""
        alive = self.stack.alive
        known: dict[str, Any] = {"listening": self.address, "calls": len(self.calls)}
        if registrations := self.registrations.states():
            known["registrations"] = registrations  # one that is lost is no reason to send no calls
        return alive or not self.address, known

    async def _open_media(self, allowed: Callable[[str], bool]) -> RtpStream:
        sip = self._settings.sip
        return await RtpStream.open(
            self._host,
            self.ports,
            allowed,
            advertised=self._advertised,
            silent_s=self._settings.media.idle_timeout_s,
            keepalive_s=sip.keepalive_s,
            longest_wait_s=sip.wait_ms / 1000,
        )


def own_address(host: str) -> str:
    """The address by which others reach a host that listens everywhere: that of the interface
    which leads outside. Nothing is sent."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((SOMEWHERE[family], 9))
        except OSError:  # no way out: only this machine is left
            return "::1" if family is socket.AF_INET6 else "127.0.0.1"
        return str(probe.getsockname()[0])
