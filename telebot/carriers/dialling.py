"""Calls that we make: who dials, whether that number may be dialled, and the call on its way.

`api/control.py` asks. The call is put on record first (`call/admission.py:Admission.place`), then
its carrier dials (`call/ports.py:Dials`); once somebody answers it comes in like any other, by
webhook (`web/webhooks.py`), media stream or SIP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlencode

import structlog

from telebot.call.admission import ANY_NUMBER, Admission
from telebot.call.errors import ApiError, CarrierError, Refused, Unable
from telebot.call.model import Call, CallOffer
from telebot.call.numbers import allowed, normalised
from telebot.call.ports import Clock, Dials, Way
from telebot.carriers.abilities import DIAL, can
from telebot.carriers.port import AnswersWebhooks, Carrier, HasTrunks, OffersOnMedia
from telebot.carriers.registry import Carriers
from telebot.config_file import did_you_mean
from telebot.outgoing_settings import OutboundSettings

WITHIN_S = 20.0  # for the carrier to take a call; then nobody knows whether it has
MINUTE_S = 60.0
# we gave it up while the carrier was still taking it
GIVEN_UP = frozenset({"cancelled", "no_answer"})
FULL = {
    "capacity": "No more calls at once than server.max_calls.",
    "draining": "The server is being stopped.",
}

log = structlog.get_logger(__name__)


class DialFailed(ApiError):
    """The carrier did not take a call that is on record already."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that somebody wants to have made; what is None is chosen."""

    to: str
    phone_from: str | None = None
    agent: str | None = None
    carrier: str | None = None
    trunk: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Dialling:
    """Makes calls. `hang_up` ends one at its carrier that was given up meanwhile."""

    def __init__(
        self,
        carriers: Carriers,
        admission: Admission,
        settings: OutboundSettings,
        *,
        public_url: str,
        clock: Clock,
        hang_up: Callable[[Call], None],
    ) -> None:
        self._carriers = carriers
        self._admission = admission
        self._settings = settings
        self._public = public_url.rstrip("/")
        self._clock = clock
        self._hang_up = hang_up
        self._recent: deque[float] = deque()

    async def call(self, wanted: Wanted) -> Call:
        """A call that is on its way (or has ended already). Raises `ApiError`."""
        to, phone_from = self._number(wanted.to), self._caller_id(wanted.phone_from)
        self._check_agent(wanted.agent, phone_from)
        carrier = self._carrier(wanted)
        self._check_pace()
        offer = CallOffer(
            carrier=carrier.name,
            carrier_call_id="",
            phone_from=phone_from,
            phone_to=to,
            agent=wanted.agent,
            direction="outbound",
            trunk=wanted.trunk or "",
        )
        within_s = self._settings.answer_within_s
        try:
            call, token = self._admission.place(offer, within_s, wanted.metadata)
        except Refused as refused:
            message = FULL.get(refused.reason, refused.reason)
            raise ApiError(503, refused.reason, message) from None
        log.info("call_placed", call_id=call.id, carrier=carrier.name, agent=call.agent)
        await self._dial(carrier, call, self._way(carrier.name, call, token))
        return call

    async def _dial(self, carrier: Dials, call: Call, way: Way) -> None:
        with ExitStack() as undo:
            undo.callback(self._admission.end, call, "dial_failed")
            try:
                async with asyncio.timeout(WITHIN_S):
                    carrier_call_id = await carrier.dial(call, way)
            except (CarrierError, TimeoutError) as error:
                why = str(error) or "no answer in time"
                log.warning("dial_failed", call_id=call.id, error=why)
                if isinstance(error, Unable):
                    raise DialFailed(409, "unable", f"{why} (call {call.id})", "carrier") from error
                message = f"The carrier did not take the call: {why} (call {call.id})."
                raise DialFailed(502, "dial_failed", message) from error
            undo.pop_all()
        self._admission.dialled(call, carrier_call_id)
        if call.termination is not None and call.termination.reason in GIVEN_UP:
            self._hang_up(call)

    def _way(self, carrier: str, call: Call, token: str) -> Way:
        base, query = f"{self._public}/{carrier}", urlencode({"call": call.id})
        if not self._public:
            return Way("", "", "", "", token, self._settings.answer_within_s)
        return Way(
            answer_url=f"{base}/voice?{query}",
            fallback_url=f"{base}/fallback?{query}",
            status_url=f"{base}/status?{query}",
            media_url=base.replace("http", "ws", 1) + "/media",
            token=token,
            within_s=self._settings.answer_within_s,
        )

    def _number(self, written: str) -> str:
        settings = self._settings
        try:
            number = normalised(written)
        except ValueError as error:
            raise ApiError(400, "invalid_parameter", f"to: {error}.", "to") from None
        if not settings.allowed_prefixes:
            message = "No number may be dialled yet: set outbound.allowed_prefixes."
            raise ApiError(403, "number_not_allowed", message, "to")
        if not allowed(number, settings.allowed_prefixes, settings.denied_prefixes):
            message = (
                "This number may not be dialled: "
                "see outbound.allowed_prefixes and outbound.denied_prefixes."
            )
            raise ApiError(403, "number_not_allowed", message, "to")
        return number

    def _caller_id(self, written: str | None) -> str:
        chosen = written or self._settings.caller_id
        if not chosen:
            message = "Say the number to call from, or set outbound.caller_id."
            raise ApiError(400, "invalid_parameter", f"from: {message}", "from")
        try:
            return normalised(chosen)
        except ValueError as error:
            raise ApiError(400, "invalid_parameter", f"from: {error}.", "from") from None

    def _check_agent(self, agent: str | None, phone_from: str) -> None:
        admission = self._admission
        if agent is not None and agent not in admission.agents:
            message = f"agent: there is no such agent{did_you_mean(agent, admission.agents)}."
            raise ApiError(400, "invalid_parameter", message, "agent")
        if agent is None and not {phone_from, ANY_NUMBER} & admission.numbers.keys():
            message = "Say which agent speaks; no number picks one."
            raise ApiError(400, "invalid_parameter", f"agent: {message}", "agent")

    def _carrier(self, wanted: Wanted) -> _Dialler:
        """Who dials. Raises `ApiError`."""
        name = wanted.carrier or (self._of_trunk(wanted.trunk) if wanted.trunk else None)
        name = name or self._settings.carrier or self._only_one()
        carrier = self._carriers.get(name)
        if carrier is None:
            known = did_you_mean(name, [one.name for one in self._carriers])
            message = f"carrier: there is no such carrier{known}."
            raise ApiError(400, "invalid_parameter", message, "carrier")
        if why := carrier.off():
            raise ApiError(409, "carrier_off", f"{name} is off: {why}.", "carrier")
        if not isinstance(carrier, _Dialler):
            raise ApiError(409, "unable", f"{name} cannot make calls.", "carrier")
        if wanted.trunk and wanted.trunk not in _trunks(carrier):
            known = did_you_mean(wanted.trunk, _trunks(carrier))
            message = f"trunk: {name} has no such trunk{known}."
            raise ApiError(400, "invalid_parameter", message, "trunk")
        if _needs_url(carrier) and not self._public:
            message = f"{name} has to reach this server: set TELEBOT_PUBLIC_URL."
            raise ApiError(409, "no_public_url", message)
        return carrier

    def _of_trunk(self, trunk: str) -> str:
        on = [carrier for carrier in self._carriers if not carrier.off()]
        for carrier in on:
            if trunk in _trunks(carrier):
                return carrier.name
        known = did_you_mean(trunk, [name for carrier in on for name in _trunks(carrier)])
        message = f"trunk: there is no such trunk{known}."
        raise ApiError(400, "invalid_parameter", message, "trunk")

    def _only_one(self) -> str:
        able = [one.name for one in self._carriers if can(one, DIAL) and not one.off()]
        if len(able) == 1:
            return able[0]
        if not able:
            raise ApiError(409, "unable", "No carrier that is on can make calls.", "carrier")
        message = f"carrier: say which: {', '.join(able)}; or set outbound.carrier."
        raise ApiError(400, "invalid_parameter", message, "carrier")

    def _check_pace(self) -> None:
        now, recent = self._clock(), self._recent
        while recent and recent[0] <= now - MINUTE_S:
            recent.popleft()
        if len(recent) >= self._settings.max_per_minute:
            message = "That many calls are not made in a minute: see outbound.max_per_minute."
            raise ApiError(429, "too_many_calls", message)
        recent.append(now)


@runtime_checkable
class _Dialler(Carrier, Dials, Protocol):
    """A carrier that dials."""


def _needs_url(carrier: Carrier) -> bool:
    """Its webhook has to reach us; a stream that speaks for itself comes from a PBX nearby."""
    return isinstance(carrier, AnswersWebhooks) and not isinstance(carrier, OffersOnMedia)


def _trunks(carrier: Carrier) -> Iterable[str]:
    return carrier.trunks if isinstance(carrier, HasTrunks) else ()
