"""`/v1/voice` on a real socket, over simulated vendors, without the rest of the server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import aiohttp
from aiohttp import web
from edge_server import OneKey
from simulated import Simulated, simulated

from telebot.api import calls, openapi
from telebot.api.voice import setup
from telebot.api.voice.chat import ChatApi
from telebot.api.voice.config import Config
from telebot.dialog.brain import Brain
from telebot.providers.breaker import Breakers
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import Pacing
from telebot.records.choices import Choices
from telebot.records.vault import Vault
from telebot.settings import PACKAGE_CONFIG
from telebot.voice import filters
from telebot.voice.books import Books
from telebot.voice.chat_agents import ChatAgent
from telebot.voice.chat_sessions import MemorySessions
from telebot.voice.chatting import Chat
from telebot.voice.done import Done
from telebot.voice.kept_sounds import KeptSounds
from telebot.voice.owners import Owners
from telebot.voice.service import Voice
from telebot.voice_settings import VoiceSettings
from telebot.web.auth import Gate, KeyStore
from telebot.web.errors import errors

SECRET = "tb_key-of-the-tests"


@dataclass
class VoiceServer:
    """`session` sends the key; `done` is what was written down."""

    url: str
    session: aiohttp.ClientSession
    vendors: Simulated
    voice: Voice
    choices: Choices | None = None
    done: list[Done] = field(default_factory=list)

    async def post(self, path: str, **request: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON (or bytes) and headers."""
        async with self.session.post(self.url + path, **request) as answer:
            body = await answer.read()
            told = await answer.json() if "json" in answer.content_type else body
            return answer.status, told, answer.headers

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json()


@cache
def front_desk() -> Brain:
    return Brain.load(PACKAGE_CONFIG / "agents" / "front-desk.yaml")


@asynccontextmanager
async def voice_server(
    speech: LocalSpeech,
    *vendors: str,
    environ: Mapping[str, str] | None = None,
    vault: Vault | None = None,
    choices: Choices | None = None,
    agents: Mapping[str, ChatAgent] | None = None,
    key_store: KeyStore | None = None,
    sounds: KeptSounds | None = None,
    ledger: Callable[[Done], None] = lambda done: None,
    owners: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[VoiceServer]:
    """A server whose vendors are simulated; `environ` replaces their variables. With a `vault`
    providers' keys may be stored; the first of `agents` answers chats that name none; `ledger` is
    told what was done, `owners` are `Owners`' `permit` and `spending`."""
    async with simulated(speech, vendors) as sim:
        known = {f"{vendor.upper()}_{end}" for vendor in vendors for end in ("BASE_URL", "API_KEY")}
        found = {name: sim.environ[name] for name in known if name in sim.environ}
        sim.resources.environ = found if environ is None else dict(environ)
        done: list[Done] = []
        found_settings = VoiceSettings.model_validate(settings)
        voice = Voice(
            sim.resources,
            Breakers(time.monotonic),
            Pacing({}, time.monotonic),
            found_settings,
            Books(
                sim.resources,
                "USD",
                time.monotonic,
                lambda: datetime.now(UTC),
                lambda one: (done.append(one), ledger(one))[0],
            ),
            owners=Owners(stored=vault.open if vault else None, **(owners or {})),
            kept=choices,
            filters=filters.build(found_settings.filters),
            sounds=sounds,
        )
        gate = Gate(key_store or OneKey(SECRET), frozenset({"/v1/voice/health"}))
        app = web.Application(middlewares=[errors, gate.middleware])
        talking = {name: agent.brain for name, agent in (agents or {}).items()}
        brains = {"front-desk": front_desk(), **talking}
        parts = setup.parts(voice, gate.who, brains, lambda: datetime.now(UTC))
        kept = voice.settings
        sessions = MemorySessions(
            time.monotonic,
            idle_s=kept.chat_idle_s,
            per_owner=kept.chat_sessions_per_key,
            most=kept.chat_sessions,
        )
        usual = next(iter(agents or {}), "")
        chat = Chat(voice, sessions, lambda: datetime.now(UTC), agents=agents, usual=usual)
        parts.append(ChatApi(voice, chat, gate.who))
        if vault is not None:
            parts.append(Config(vault, gate.who, voice.providers))
        if choices is not None:
            parts += setup.choosing(choices, voice, gate.who, {*brains, *(agents or {})})
        endpoints = calls.setup(app, gate.authorize, *parts)
        openapi.setup(app, endpoints, "0.1.0")
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        headers = {"Authorization": f"Bearer {SECRET}"}
        try:
            async with aiohttp.ClientSession(headers=headers) as session:
                yield VoiceServer(url, session, sim, voice, choices, done)
        finally:
            await voice.close()
            await runner.cleanup()
