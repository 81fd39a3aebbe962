"""A telephone that calls over SIP, through a network that loses and delays what it carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faulty_network import Faults, FaultyNetwork, faulty_network
from serving import Server

from telebot.phone.destination import Destination
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

BAD = Faults(loss=0.03, jitter_ms=40, reorder=0.2, duplicates=0.01)
"""What a conversation has to bear: each packet is lost at 3 %, or late by up to 40 ms."""


@asynccontextmanager
async def bad_line(
    server: Server, speech: LocalSpeech, faults: Faults = BAD, seed: int = 1
) -> AsyncIterator[tuple[Phone, FaultyNetwork]]:
    """A call that is up; signalling and media go the same bad way."""
    async with faulty_network(server.sip_port, sip=faults, rtp=faults, seed=seed) as network:
        to = Destination(f"sip:127.0.0.1:{network.port}", "", carrier="sip")
        async with Phone(to, speech) as phone:
            yield phone, network
