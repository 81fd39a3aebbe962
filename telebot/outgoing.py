"""What goes out, put together: calls that the server makes, and transfers.

A part of the composition root (`app.py`), which hands in what it has built.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import structlog

from telebot.api.steering import SteeringApi
from telebot.call.model import Call
from telebot.call.numbers import allowed
from telebot.call.ports import SendsDigits, Transfers, TransfersWarm
from telebot.carriers import abilities
from telebot.carriers.dialling import Dialling
from telebot.carriers.registry import Carriers
from telebot.settings import Settings
from telebot.speech.agents import Agent
from telebot.speech.factory import Speech
from telebot.speech.transfers import Ways
from telebot.web.media_socket import MediaSockets
from telebot.web.server import Parts

log = structlog.get_logger()


def dialling(parts: Parts) -> Dialling:
    """Makes calls, and ends them at their carrier where they are given up."""

    def hang_up(call: Call) -> None:
        parts.hang_ups.begin(parts.carriers.get(call.offer.carrier), call)

    return Dialling(
        parts.carriers,
        parts.admission,
        parts.settings.outbound,
        public_url=parts.settings.server.public_url,
        clock=time.monotonic,
        hang_up=hang_up,
    )


def steering(parts: Parts, speech: Speech, sockets: MediaSockets) -> SteeringApi:
    """What operators do to live calls."""

    def give_up(call: Call) -> None:
        parts.hang_ups.begin(parts.carriers.get(call.offer.carrier), call)
        sockets.stop(call, "operator_hangup")

    async def send_digits(call: Call, digits: str) -> None:
        carrier = parts.carriers.get(call.offer.carrier)
        if isinstance(carrier, SendsDigits):
            await carrier.send_digits(call, digits)
        else:
            sockets.send_digits(call, digits)

    return SteeringApi(
        parts.admission,
        lambda call: speech.live.get(call.id),
        give_up,
        send_digits,
        parts.gate.sees,
    )


def ways(
    settings: Settings, carriers: Carriers, agents: Mapping[str, Agent]
) -> Callable[[Call], Ways]:
    """How a call is put through, where its carrier can."""
    written = {to.to for agent in agents.values() for to in agent.brain.transfers()}
    prefixes, within_s = settings.transfer.allowed_prefixes, settings.transfer.answer_within_s

    def may(number: str) -> bool:
        return number in written or allowed(number, prefixes)

    def of(call: Call) -> Ways:
        carrier = carriers.get(call.offer.carrier)
        blind = partial(carrier.transfer, call) if isinstance(carrier, Transfers) else None
        warm = partial(carrier.transfer_warm, call) if isinstance(carrier, TransfersWarm) else None
        return Ways(blind, warm, may, within_s)

    return of


def warn(settings: Settings, carriers: Carriers, agents: Mapping[str, Agent]) -> None:
    """Say what is wanted of a carrier that somebody has set up and that cannot do it."""
    wanted = {name: agent.brain.transfers() for name, agent in agents.items()}
    chosen = [carrier for carrier in carriers if abilities.chosen(settings, carrier)]
    for gap in abilities.missing(settings, chosen, wanted):
        log.warning("carrier_cannot", **asdict(gap))
