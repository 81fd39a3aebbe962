"""Realtime sessions put together: who may open one, what stands behind it, its routes.

A part of the composition root (`app.py`), which hands in what it has built.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import web

from telebot.api.voice.realtime import RealtimeSessions, Vendors
from telebot.call.admission import ANY_NUMBER
from telebot.call.errors import ApiError
from telebot.call.model import Call
from telebot.call.ports import WallClock
from telebot.providers.credentials import Wanted
from telebot.records.archive import Archive
from telebot.records.keys import ApiKey
from telebot.speech.budget import Prices
from telebot.speech.factory import Speech
from telebot.speech.wishes import KeySource
from telebot.voice import meaning
from telebot.voice.credentials import Given, given
from telebot.voice.meaning import Meant
from telebot.voice.promises import Promises
from telebot.voice.service import Voice
from telebot.voice.sessions import SessionRequest
from telebot.web.auth import KEY
from telebot.web.key_budgets import KeyBudgets
from telebot.web.media_socket import SOCKETS
from telebot.web.origins import Origins
from telebot.web.public_url import PublicUrl
from telebot.web.realtime.direct import DirectCalls
from telebot.web.realtime.door import Door
from telebot.web.realtime.session import House
from telebot.web.realtime.socket import PATH, RealtimeSockets
from telebot.web.server import Parts


@dataclass(frozen=True, slots=True)
class Behind:
    """What sessions are made of."""

    speech: Speech
    voice: Voice
    archive: Archive
    wall_clock: WallClock


def add(app: web.Application, parts: Parts, behind: Behind) -> RealtimeSessions:
    """Add the socket's route; returns the endpoints of `/v1`."""
    settings, voice = parts.settings, behind.voice
    server = settings.server
    urls = PublicUrl(server.public_url, server.trusted_proxies)

    def base(request: web.Request) -> str:
        return urls.seen(request).base

    async def keys(key_id: str) -> list[KeySource]:
        return [*await voice.keys(key_id)]

    promises = Promises(parts.admission.tokens, time.monotonic, _new_id)
    budgets = KeyBudgets(behind.archive.spending)
    door = Door(
        promises,
        Origins(settings.voice.origins, base),
        settings.voice,
        pays=budgets.check,
        known=_known(behind.archive),
        new_id=_new_id,
    )
    prices = Prices(voice.offers.resources.catalogue.price, settings.records.currency)
    direct = DirectCalls(behind.speech, parts.admission, time.monotonic, behind.wall_clock)
    agents = parts.admission.agents
    house = House(behind.speech, keys, prices, time.monotonic, _meant(behind, agents), direct)
    sockets = RealtimeSockets(
        door,
        house,
        sockets=app[SOCKETS],
        urls=urls,
        settings=settings.voice,
        agents=agents,
    )
    app.router.add_get(PATH, sockets.handle, allow_head=False)
    parts.metrics.gauge("realtime_sessions", "Realtime sessions that are up", lambda: door.inside)
    return RealtimeSessions(
        promises,
        agents,
        base=base,
        key=_key,
        vendors=_vendors(parts, behind),
    )


def _key(request: web.Request) -> ApiKey:
    return request[KEY]


def _known(archive: Archive) -> Callable[[ApiKey], Awaitable[ApiKey | None]]:
    """An API key as it is now. What a token of an issuer has opened outlives the token, which lives
    for minutes and cannot be revoked."""

    async def known(key: ApiKey) -> ApiKey | None:
        return key if key.source == "oidc" else await archive.keys.by_id(key.id)

    return known


def _new_id() -> str:
    return uuid4().hex


def _meant(
    behind: Behind, agents: Container[str | None]
) -> Callable[[Call, SessionRequest], Awaitable[Meant]]:
    """What a session's user prefers and forbids and what flags try on them, known before anything
    is said, and kept with the record."""

    async def meant(call: Call, asked: SessionRequest) -> Meant:
        found = await meaning.meant(behind.voice.tailor, call.offer.key_id, asked)
        call.keeps_words = found.under.keep
        agent = found.request.agent
        if (
            agent is not None and agent in agents
        ):  # one that a preference of long ago names may be gone
            call.agent = agent
        if found.under.user or found.under.variant or agent != asked.agent:
            behind.archive.log.chosen(call, found.under.user, found.under.variant)
        return found

    return meant


def _vendors(parts: Parts, behind: Behind) -> Vendors:
    """What makes vendors' own credentials, for the agent that a session names, or that answers
    where none is named."""
    of_all = parts.admission.numbers.get(ANY_NUMBER, "")
    life_s = parts.settings.security.token_life_s

    async def vendors(key_id: str, asked: SessionRequest) -> Given:
        name = asked.agent or of_all
        prefers = await behind.voice.tailor.preferences(key_id, asked.user or "")
        if prefers.privacy.data_collection == "deny":
            message = "This user lets nothing leave this machine."
            raise ApiError(400, "no_provider", message, "target")
        agent = behind.speech.agent(name) if name else None
        own = [] if agent is None else [plan.spec for plan in agent.plans["realtime"]]
        links = [{"service": spec} if isinstance(spec, str) else dict(spec) for spec in own]
        prompt = "" if agent is None else agent.settings.speech.prompt
        wanted = Wanted(
            voice=asked.voice or "",
            language=asked.language or "",
            instructions=asked.instructions or prompt,
            life_s=life_s,
        )
        return await given(asked, await behind.voice.keys(key_id), links, wanted)

    return vendors
