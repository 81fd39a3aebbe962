"""The records, their API and their console on a real socket, without the rest of the server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from telebot.api import calls, openapi
from telebot.api.keys import KeysApi
from telebot.api.voice.reports import ReportsApi
from telebot.api.voice.trials import Trials
from telebot.call.ending import termination
from telebot.call.model import (
    Call,
    CallOffer,
    Note,
    State,
    Turn,
    TurnLatency,
    Usage,
    WireEvent,
)
from telebot.console import pages
from telebot.console.sessions import Sessions
from telebot.programs import own_budget
from telebot.records.archive import Archive
from telebot.records.cost import Price, built_in
from telebot.settings import RecordsSettings
from telebot.voice.tailoring import Tailor
from telebot.voice_settings import VoiceSettings
from telebot.web.auth import Gate
from telebot.web.errors import errors

ADMIN = "tb_admin-key-of-the-tests"
BUDGET = 1.0  # a month
LOCAL = {"stt": "local", "llm": "dialog", "tts": "local"}


class RecordsServer:
    """An archive with its HTTP edge, and calls to fill it with."""

    def __init__(self, archive: Archive, url: str) -> None:
        self.archive = archive
        self.url = url

    def open_call(self, call_id: str, at: datetime, **offer: str) -> Call:
        told = {"carrier": "twilio", "phone_from": "+441632960001", "phone_to": "+441632960000"}
        told |= {"carrier_call_id": f"CA-{call_id}"} | offer
        call = Call(call_id, CallOffer(**told), "front-desk", at)
        self.archive.log.opened(call)
        call.answered_at = at + timedelta(seconds=1)
        self.archive.log.answered(call)
        return call

    def talk(
        self, call: Call, said: list[tuple[str | None, str, str]], slow_turn: int = -1
    ) -> None:
        """Turns of (caller, bot, heard of it), one of them slow because of its recogniser."""
        for index, (caller, bot, heard) in enumerate(said):
            slow = index == slow_turn
            latency = TurnLatency(
                heard=2100.0 if slow else 640.0,
                endpointing=250.0,
                stt=1650.0 if slow else 180.0,
                llm_first_token=20.0,
                tts_first_audio=150.0,
                transport=60.0,
            )
            at = call.created_at + timedelta(seconds=2 + 5 * index)
            turn = Turn(
                index=index,
                started_at=at,
                caller_text=caller,
                bot_text=bot,
                bot_text_heard=heard,
                interrupted=heard != bot,
                providers=LOCAL,
                latency_ms=latency if caller is not None else TurnLatency(),
                caller_offset_s=None if caller is None else 0.5 * index,
                bot_offset_s=0.5 * index + 0.25,
            )
            self.archive.log.turn(call, turn)
            event = WireEvent(at, 2.0 + 5 * index, "state", {"state": "speaking"})
            self.archive.log.event(call, event)

    def note(self, call: Call, kind: str, **fields: object) -> None:
        self.archive.log.note(call, Note(kind, fields, call.created_at))

    def record(self, call: Call, seconds: int = 2) -> None:
        recording = self.archive.recorder.start(call)
        assert recording is not None
        for n in range(seconds * 50):
            recording.caller(b"\x10" * 160, n * 160)
            recording.bot(b"\x90" * 160, n * 160)
        recording.close()

    def use(self, call: Call, kind: str, provider: str, quantity: float, unit: str) -> None:
        self.archive.log.used(call, Usage(kind, provider, quantity, unit))

    def end_call(self, call: Call, reason: str = "caller_hangup", after_s: float = 60) -> None:
        call.ended_at = call.created_at + timedelta(seconds=after_s)
        call.state, call.termination = State.ENDED, termination(reason)
        self.archive.log.closed(call, call.termination)


@asynccontextmanager
async def records_server(
    data: Path, database_url: str = "", admin_key: str = ADMIN, *, price: Price = built_in
) -> AsyncIterator[RecordsServer]:
    def now() -> datetime:
        return datetime.now(UTC)

    settings = RecordsSettings(database_url=database_url)
    archive = Archive(
        settings,
        data,
        clock=time.monotonic,
        now=now,
        admin_key=admin_key,
        price=price,
    )
    gate = Gate(archive.keys)
    app = web.Application(middlewares=[errors, gate.middleware])
    parts = calls.CallsApi(archive.reader, archive.retention, gate.sees)
    settled = VoiceSettings(monthly_budget=BUDGET)
    own = own_budget(Tailor(archive.choices), gate)
    trials = Trials(archive.comparing, archive.choices)
    reports = ReportsApi(archive.reports, gate.sees, now, settled, trials=trials, own=own)
    keys = KeysApi(archive.keys, gate.who, now)
    openapi.setup(app, calls.setup(app, gate.authorize, parts, reports, keys), "0.1.0")
    sessions = Sessions(archive.keys, "a-secret-that-signs-the-cookies!", now)
    pages.setup(app, pages.Console(archive.reader, archive.keys, sessions))
    runner = web.AppRunner(app)
    try:
        await archive.open()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield RecordsServer(archive, f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
        await archive.close()
