"""What programs and operators are answered, put together: `/v1`, the console, who may come in.

A part of the composition root (`app.py`), which hands in what it has built.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from aiohttp import web
from aiohttp.typedefs import Middleware

import telebot
from telebot import outgoing
from telebot.api import calls as calls_api
from telebot.api import openapi
from telebot.api.control import ControlApi
from telebot.api.keys import KeysApi
from telebot.api.voice import setup as voice_api
from telebot.api.voice.budgets import Own, OwnBudget
from telebot.api.voice.chat import ChatApi
from telebot.api.voice.config import Config
from telebot.api.voice.realtime import TOLD as REALTIME
from telebot.api.voice.realtime import RealtimeSessions
from telebot.api.voice.reports import ReportsApi
from telebot.api.voice.trials import Trials
from telebot.call import local_access
from telebot.call.admission import ANY_NUMBER
from telebot.call.ports import WallClock
from telebot.config_file import SettingsError, did_you_mean, told
from telebot.console import pages, talk
from telebot.console.sessions import Sessions
from telebot.providers.kept_files import KeptFiles
from telebot.providers.resources import Resources
from telebot.records.archive import Archive
from telebot.records.keys import ApiKey
from telebot.settings import Settings
from telebot.speech.agents import Agent
from telebot.speech.chains import Chains
from telebot.speech.factory import Speech
from telebot.voice import filters
from telebot.voice.books import Books
from telebot.voice.chat_agents import ChatAgent, asked_by, voices_of
from telebot.voice.chat_sessions import MemorySessions
from telebot.voice.chatting import Chat
from telebot.voice.done import Done
from telebot.voice.kept_sounds import SUFFIX, KeptSounds
from telebot.voice.offers import WORKS
from telebot.voice.owners import Owners
from telebot.voice.permits import Permit, permit_of
from telebot.voice.service import Voice
from telebot.voice.tailoring import Tailor
from telebot.voice_measures import measure_voice
from telebot.web.auth import KEY, Gate
from telebot.web.bearers import Askers, Bearers
from telebot.web.key_budgets import KeyBudgets
from telebot.web.metrics import Metrics
from telebot.web.realtime import socket as realtime_socket
from telebot.web.server import Parts
from telebot.web.upload_room import UploadRoom

# answered without a key too; a session may bring a token instead
OPEN_PATHS = frozenset({"/v1/voice/health", realtime_socket.PATH})


def secret_key(settings: Settings) -> str:
    """The operator's, or the one made at the first start."""
    given = settings.security.secret_key.get_secret_value()
    return given or local_access.load_secret(settings.server.data, "secret.key")


def askers(
    stack: AsyncExitStack, settings: Settings, archive: Archive, wall_clock: WallClock
) -> Askers:
    """Who may come in: API keys, and tokens of issuers."""
    found = Askers(archive.keys, Bearers(settings.auth, wall_clock, time.monotonic))
    stack.push_async_callback(found.close)
    return found


def gate(askers: Askers) -> Gate:
    """The one gate before `/v1`."""
    return Gate(askers, OPEN_PATHS)


def behind_keys(settings: Settings, archive: Archive, metrics: Metrics) -> Sequence[Middleware]:
    """What is asked once it is known whose request it is."""
    voice = settings.voice
    room = UploadRoom(voice.uploads_mb << 20, voice.max_upload_mb << 20)
    metrics.gauge("voice_upload_bytes", "Uploads that are held", lambda: room.held)
    return (KeyBudgets(archive.spending).middleware, room.middleware)


async def voice(
    stack: AsyncExitStack,
    settings: Settings,
    resources: Resources,
    chains: Chains,
    *,
    archive: Archive,
    askers: Askers,
    now: WallClock,
) -> Voice:
    """Voice work that is no call, on the calls' own breakers and limits. Raises ConfigError: a
    content filter that cannot be built."""

    def ledger(done: Done) -> None:
        values = done.values()
        archive.log.worked(values)
        archive.spending.note(done.key_id, done.at, values["amount_nanos"] or 0)

    async def permit(key_id: str) -> Permit:
        return permit_of(await askers.by_id(key_id))

    found = Voice(
        resources,
        chains.breakers,
        chains.pacing,
        settings.voice,
        Books(resources, settings.records.currency, time.monotonic, now, ledger),
        owners=Owners(stored=archive.vault.open, permit=permit, spending=archive.spending),
        kept=archive.choices,
        filters=filters.build(settings.voice.filters),
        sounds=await _kept_sounds(settings, now),
    )
    stack.push_async_callback(found.close)
    return found


def check_endpoints(settings: Settings, endpoints: Sequence[calls_api.Endpoint]) -> None:
    """Raises `SettingsError` on a limit of an endpoint that there is not."""
    known = {name for each in endpoints for name in (each.path, f"{each.method} {each.path}")}
    for name in settings.limits.endpoints:
        if name not in known:
            why = f"no such endpoint{did_you_mean(name, known)}"
            raise SettingsError(told(settings.sources, f"limits.endpoints.{name}", why))


def talks(parts: Parts, voice: Voice, speech: Speech, clock: WallClock) -> ChatApi:
    """Conversations that are no call, with the calls' agents; the one of any number answers who
    names none."""
    settings = parts.settings
    kept = MemorySessions(
        time.monotonic,
        idle_s=settings.voice.chat_idle_s,
        per_owner=settings.voice.chat_sessions_per_key,
        most=settings.voice.chat_sessions,
    )
    talking = {name: _talking(speech.agent(name), voice) for name in parts.admission.agents}
    usual = parts.admission.numbers.get(ANY_NUMBER, "")
    chat = Chat(voice, kept, clock, agents=talking, usual=usual)
    return ChatApi(voice, chat, parts.gate.who)


def _talking(agent: Agent, voice: Voice) -> ChatAgent:
    """An agent of the calls as chats know it."""
    hears, asks, speaks = (
        asked_by(agent.specs(kind), set(voice.offers.names(kind)).__contains__) for kind in WORKS
    )
    return ChatAgent(
        agent.settings.agent.name,
        agent.brain,
        agent.zone,
        asks,
        agent.settings.speech.prompt,
        hears,
        speaks,
        voices_of(agent.specs("tts")),
    )


async def _kept_sounds(settings: Settings, wall_clock: WallClock) -> KeptSounds:
    """What `/v1/voice` has said before."""
    chosen = settings.voice
    files = KeptFiles(
        settings.server.data / "sounds",
        suffix=SUFFIX,
        memory_bytes=chosen.cache_memory_mb << 20,
        disk_bytes=chosen.cache_disk_mb << 20,
    )
    sounds = KeptSounds(files, wall_clock, days=chosen.cache_days)
    await sounds.open()
    return sounds


def add_pages(
    app: web.Application,
    archive: Archive,
    parts: Parts,
    voice: Voice,
    sessions: RealtimeSessions,
    *more: calls_api.HasEndpoints,
    agents: Mapping[str, Agent],
    now: WallClock,
) -> None:
    """The routes of `/v1`, its description, and the console. `sessions` and `more`: parts of `/v1`
    that were built elsewhere."""
    measure_voice(parts.metrics, voice)
    settings = parts.settings
    calls = calls_api.CallsApi(archive.reader, archive.retention, parts.gate.sees)
    control = ControlApi(outgoing.dialling(parts), archive.written, time.monotonic, parts.gate.who)
    reports = ReportsApi(
        archive.reports,
        parts.gate.sees,
        now,
        settings.voice,
        trials=Trials(archive.comparing, archive.choices),
        own=own_budget(voice.tailor, parts.gate),
    )
    config = Config(archive.vault, parts.gate.who, voice.providers)
    keys = KeysApi(archive.keys, parts.gate.who, now)
    brains = {name: agent.brain for name, agent in agents.items()}
    works = voice_api.parts(voice, parts.gate.who, brains, now)
    work = [*more, sessions, *works, reports, config, keys]
    forget = [archive.retention.forget, *(it.forget_user for it in more if isinstance(it, ChatApi))]
    work += voice_api.choosing(archive.choices, voice, parts.gate.who, agents, forget)
    work.append(voice_api.portable(archive.portable, voice, parts.gate.who, now, agents))
    endpoints = calls_api.setup(app, parts.gate.authorize, calls, control, *work)
    check_endpoints(settings, endpoints)
    openapi.setup(app, endpoints, telebot.__version__, [REALTIME])
    logins = Sessions(archive.keys, secret_key(settings), now)
    console = pages.Console(archive.reader, archive.keys, logins)
    pages.setup(app, console)
    talk.setup(app, console, talk.Talk(console, _by_use(parts), _promise(sessions)))


def _by_use(parts: Parts) -> list[str]:
    """The agents, the one that answers any number first."""
    usual = parts.admission.numbers.get(ANY_NUMBER, "")
    return sorted(parts.admission.agents, key=lambda name: (name != usual, name))


def _promise(sessions: RealtimeSessions) -> talk.Promise:
    """The console's own way to a one-time token: as `/v1` does it, by who is logged in."""

    async def promise(request: web.Request, key: ApiKey) -> web.Response:
        request[KEY] = key
        return await sessions.create_session(request)

    return promise


def own_budget(tailor: Tailor, gate: Gate) -> OwnBudget:
    """The budget of a request's key, and when its owner wants to be warned of it."""

    async def found(request: web.Request) -> Own | None:
        limit, owner = gate.budget(request), gate.who(request)
        if limit is None:
            return None
        told = (await tailor.preferences(owner, "")).notifications
        return Own(owner, limit, told.budget)

    return found
