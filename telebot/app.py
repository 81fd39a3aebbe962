"""The composition root: builds every part, in the order of this page, and takes it down again.

Nothing else in the house creates what is shared. The way of a call through these parts is told in
`docs/life-of-a-call.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import structlog
from aiohttp import web

from telebot import outgoing, programs, realtime
from telebot.agent_settings import AgentSettings
from telebot.call import local_access
from telebot.call.admission import Admission
from telebot.call.errors import ConfigError
from telebot.call.ports import CallLog
from telebot.call.tokens import StreamTokens
from telebot.carriers.audiosocket import AudioSocketCarrier
from telebot.carriers.registry import Carriers
from telebot.carriers.sip import SipCarrier
from telebot.measures import measure, measure_sip
from telebot.providers import registry
from telebot.providers.catalogue import Catalogue
from telebot.providers.catalogue import load as load_catalogue
from telebot.providers.kept_voice import KeptVoice
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.recogniser import SpeechToText
from telebot.providers.resources import Resources
from telebot.providers.synthesiser import TextToSpeech
from telebot.records.archive import Archive
from telebot.settings import Settings, load_agents, load_numbers
from telebot.sip.server import SipServer
from telebot.speech.agents import KINDS, Agent, AgentLoader
from telebot.speech.assembly import smart
from telebot.speech.chains import Chains, Plan
from telebot.speech.factory import Speech
from telebot.speech.phrases import PhraseStore
from telebot.speech.turn_model import TurnModelProcess
from telebot.web.audiosocket import AudioSocketServer
from telebot.web.hangups import HangUps
from telebot.web.health import Check
from telebot.web.media_socket import SOCKETS
from telebot.web.metrics import Metrics
from telebot.web.runner import Runner
from telebot.web.server import Parts, build_app

GOODBYE_S = 15.0  # what a spoken goodbye may take when the server stops
SHUTDOWN_S = 5.0
SILENT_S = 75.0  # a connection without a request is closed; proxies keep theirs for up to 60 s
FILES, FILES_PER_CALL = (
    1024,
    3,
)  # a call has its socket, its recording, and once in a while one more
CONNECTIONS = 512  # of HTTP, besides the calls'
GC_THRESHOLDS = (20_000, 20, 50)  # with hundreds of calls a full collection pauses for 100 ms
log = structlog.get_logger()


@dataclass(slots=True)
class Server:
    """A server that takes calls. `http`, `sip` and `audiosocket` are the addresses it really
    listens on; the latter two are empty where another program has their place."""

    settings: Settings
    http: str
    sip: str
    audiosocket: str
    carriers: Carriers
    admission: Admission
    speech: Speech
    archive: Archive

    async def drain(self) -> None:
        """Take no more calls; let the live ones finish, then say goodbye to those that do not."""
        if await self.admission.drained(self.settings.server.drain_s):
            return
        self.speech.goodbye("drained")
        await self.admission.drained(GOODBYE_S)


def wall_clock() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """A server from its first part to its last, and back. Raises `SettingsError` and `ConfigError`
    (an address that is taken, too)."""
    agents = load_agents(settings.config_dir)
    numbers = load_numbers(settings.config_dir, agents)
    catalogue = load_catalogue(settings.config_dir)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        local, loading = _local_speech(stack, settings)  # beside what follows, as is the next one
        turn_model = _turn_model(stack, settings, agents)
        archive = await _archive(stack, settings, catalogue)
        call_log = metrics.metered(archive.log)
        resources = Resources(local, settings.environ, catalogue)
        stack.push_async_callback(resources.close)
        kept = await _kept_voice(stack, settings)
        chains = Chains(resources, time.monotonic, kept, settings.pacing)
        ready_agents = await _agents(settings, agents, resources, chains, loading)
        admission = _admission(settings, call_log, numbers, frozenset(agents))
        carriers = Carriers(settings)
        speech = Speech(
            settings,
            ready_agents,
            admission=admission,
            call_log=call_log,
            recorder=archive.recorder,
            clock=time.monotonic,
            wall_clock=wall_clock,
            ways=outgoing.ways(settings, carriers, ready_agents),
            price=catalogue.price,
            turn_model=turn_model,
        )
        stack.push_async_callback(speech.close)
        stack.callback(_end_the_rest, admission)
        await speech.warm_up()
        measure(metrics, speech, local, archive, chains)
        sip = _sip(settings, carriers, admission, speech, local)
        checks = _checks(speech, chains, sip)
        askers = programs.askers(stack, settings, archive, wall_clock)
        behind_keys = programs.behind_keys(settings, archive, metrics)
        edge = (programs.gate(askers), HangUps(metrics), metrics, checks, behind_keys)
        parts = Parts(settings, admission, carriers, speech, *edge)
        app = build_app(parts)
        voice = await programs.voice(
            stack, settings, resources, chains, archive=archive, askers=askers, now=wall_clock
        )
        steering = outgoing.steering(parts, speech, app[SOCKETS])
        sessions = realtime.add(app, parts, realtime.Behind(speech, voice, archive, wall_clock))
        more = (sessions, steering, programs.talks(parts, voice, speech, wall_clock))
        programs.add_pages(app, archive, parts, voice, *more, agents=ready_agents, now=wall_clock)
        await speech.open()
        http = await _listen(stack, app, settings)
        _publish(stack, settings, http)
        outgoing.warn(settings, carriers, ready_agents)
        measure_sip(metrics, sip)
        stack.push_async_callback(sip.close)
        await sip.open()
        audiosocket = await _audiosocket(stack, settings, carriers, app)
        _collect_seldom()
        listening = (http, sip.address, audiosocket.address)
        yield Server(settings, *listening, carriers, admission, speech, archive)


def _checks(speech: Speech, chains: Chains, sip: SipServer) -> dict[str, Check]:
    """What `/health/ready` tells of."""
    return {
        "turn_model": speech.turn_model_check,
        "providers": chains.breakers.check,
        "sip": sip.check,
    }


def _collect_seldom() -> None:
    """What is loaded now never needs scanning again; nor is it now, for one object in a hundred
    that is garbage."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)


async def serve(settings: Settings, ready: Callable[[Server], None]) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal stops at once."""
    _allow_files(settings.server.max_calls)
    stop, now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    async with running(settings) as server:
        ready(server)
        await stop.wait()
        log.info("draining", calls=len(server.admission.live))
        draining = asyncio.ensure_future(server.drain())
        hurrying = asyncio.ensure_future(now.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurrying):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _allow_files(max_calls: int) -> None:
    """As many open files as the calls need: a shell's usual 1,024 are used up by 500 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES + FILES_PER_CALL * max_calls
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("few_open_files", allowed=hard, wanted=wanted)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _archive(stack: AsyncExitStack, settings: Settings, catalogue: Catalogue) -> Archive:
    archive = Archive(
        settings.records,
        settings.server.data,
        clock=time.monotonic,
        now=wall_clock,
        admin_key=settings.security.admin_key.get_secret_value(),
        vault_key=settings.security.vault_key.get_secret_value(),
        price=catalogue.price,
        wanted=lambda _: True,  # whether a call is recorded is decided with its agent, in speech
    )
    stack.push_async_callback(archive.close)  # also of what a failed start has opened
    await archive.open()
    return archive


def _local_speech(
    stack: AsyncExitStack, settings: Settings
) -> tuple[LocalSpeech, asyncio.Future[None]]:
    """The models of this machine, and when they are there: they are loaded in threads."""
    local = LocalSpeech(
        SpeechToText(threads=settings.speech.stt_threads),
        TextToSpeech(threads=settings.speech.tts_threads),
    )
    loading = asyncio.ensure_future(local.load())

    async def close() -> None:
        await asyncio.gather(loading, return_exceptions=True)  # its threads would go on
        await asyncio.to_thread(local.close)

    stack.push_async_callback(close)
    return local, loading


def _turn_model(
    stack: AsyncExitStack, settings: Settings, agents: Mapping[str, AgentSettings]
) -> TurnModelProcess | None:
    """The turn model where an agent wants it, on its way in a process of its own."""
    if not any(smart(settings, agent) for agent in agents.values()):
        return None
    model = TurnModelProcess()
    stack.push_async_callback(model.close)  # a start that fails leaves none behind
    model.begin()
    return model


async def _kept_voice(stack: AsyncExitStack, settings: Settings) -> KeptVoice:
    speech = settings.speech
    kept = KeptVoice(
        settings.server.data / "voice",
        memory_bytes=speech.kept_voice_memory_mb << 20,
        disk_bytes=speech.kept_voice_disk_mb << 20,
    )
    stack.push_async_callback(kept.close)
    await kept.open()
    return kept


async def _agents(
    settings: Settings,
    agents: dict[str, AgentSettings],
    resources: Resources,
    chains: Chains,
    loading: asyncio.Future[None],
) -> dict[str, Agent]:
    """Every agent; their phrases when the models are there that may have to say them."""
    phrases = PhraseStore(settings.phrases_folder)
    loader = AgentLoader(resources, phrases, chains)
    checked = {name: loader.check(agent) for name, agent in agents.items()}
    await loading
    ready = {name: await loader.with_phrases(agent) for name, agent in checked.items()}
    plans = [plan for agent in ready.values() for kind in KINDS for plan in agent.plans[kind]]
    settings.check_pacing({plan.name.partition("/")[0] for plan in plans} | registry.vendors())
    asked: list[Plan] = []  # each once; their options make no key of a set
    for plan in plans:
        if not plan.ours and plan not in asked:
            asked.append(plan)
    await chains.check(asked)
    return ready


def _admission(
    settings: Settings, call_log: CallLog, numbers: dict[str, str], agents: frozenset[str]
) -> Admission:
    return Admission(
        log=call_log,
        tokens=StreamTokens(
            programs.secret_key(settings), settings.security.token_life_s, wall_clock
        ),
        numbers=numbers,
        agents=agents,
        max_calls=settings.server.max_calls,
        clock=time.monotonic,
        wall_clock=wall_clock,
        new_id=lambda: uuid4().hex,
    )


def _sip(
    settings: Settings,
    carriers: Carriers,
    admission: Admission,
    speech: Speech,
    local: LocalSpeech,
) -> SipServer:
    """SIP trunks, and the carrier by which the rest of the house knows them."""
    server = SipServer(settings, admission, speech, SipCarrier.name, local.spoken)
    carrier = carriers.get(SipCarrier.name)
    if isinstance(carrier, SipCarrier):
        carrier.attach(server)
    return server


async def _audiosocket(
    stack: AsyncExitStack, settings: Settings, carriers: Carriers, app: web.Application
) -> AudioSocketServer:
    """The listener; it closes before the edge does, which ends what is up."""
    asked = "server.audiosocket" in settings.sources
    carrier = carriers.get(AudioSocketCarrier.name)
    if not isinstance(carrier, AudioSocketCarrier):
        raise ConfigError("no carrier of that name is registered")
    server = AudioSocketServer(settings.server.audiosocket, carrier, app[SOCKETS], asked=asked)
    stack.push_async_callback(server.close)
    await server.open()
    return server


def _end_the_rest(admission: Admission) -> None:
    """Calls whose media stream never came end with the server."""
    for call in list(admission.live.values()):
        admission.end(call, "no_media" if admission.ringing(call) else "drained")


async def _listen(stack: AsyncExitStack, app: web.Application, settings: Settings) -> str:
    runner = Runner(
        app,
        most=settings.server.max_calls + CONNECTIONS,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=SILENT_S,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    host, _, port = settings.server.http.rpartition(":")
    site = web.TCPSite(runner, host.strip("[]"), int(port), backlog=1024)
    try:
        await site.start()
    except OSError as error:
        code = error.errno or 0  # asyncio writes a text of its own, a name's error has no such code
        why = os.strerror(code).lower() if code > 0 else error.strerror
        raise ConfigError(f"http {settings.server.http}: {why}; name another by --http") from error
    bound = runner.addresses[0]
    return f"{host}:{bound[1]}"


def _publish(stack: AsyncExitStack, settings: Settings, http: str) -> None:
    """Let `telebot call` of this user find the server."""
    port = int(http.rpartition(":")[2])
    data = settings.server.data
    secret = local_access.load_secret(data)
    try:
        path = local_access.publish(port, secret, settings.environ, data)
    except ConfigError as error:  # it is found by its data folder then
        log.warning(
            "server_not_announced", why=str(error), hint=f"telebot call: TELEBOT_DATA={data}"
        )
        return
    stack.callback(local_access.withdraw, path)
