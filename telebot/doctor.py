"""`telebot doctor`: what is wrong with the configuration or the machine, before a caller finds out.

Every check says what is fine, what is off and why, or what to write instead. Exit 1 on a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import SOCK_DGRAM

from telebot.auth_settings import Issuer
from telebot.call.errors import Local
from telebot.carriers import abilities
from telebot.carriers.registry import Carriers
from telebot.config_file import SettingsError
from telebot.dialog.actions import Transfer
from telebot.dialog.brain import Brain
from telebot.dialog.errors import BadAgentFile
from telebot.providers import registry
from telebot.providers.catalogue import load as load_catalogue
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.records.store import Store
from telebot.settings import Settings, load_agents, load_numbers
from telebot.sip import trunks
from telebot.speech.agents import KINDS, AgentLoader
from telebot.speech.chains import DIALOG, Chains, probed
from telebot.speech.phrases import PhraseStore
from telebot.web.bearers import Bearers
from telebot.web.issuers import IssuerAway

ANSWER_S = 2.0
Finding = tuple[str, str, str]  # level (ok, off, warn, fault), what, why


def run(settings: Settings) -> int:
    """Print every finding; 1 where one is a fault."""
    findings = [finding for check in CHECKS for finding in _guarded(check, settings)]
    for level, what, why in findings:
        print(f"{level:6} {what}{': ' if why else ''}{why}")
    return int(any(level == "fault" for level, _, _ in findings))


def _guarded(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    try:
        return list(check(settings))
    except (Local, SettingsError, OSError) as error:
        return [("fault", check.__name__.removeprefix("_"), str(error))]


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.server.data
    if why := _unwritable(folder):
        yield "fault", "data folder", f"{why}; name another by --data"
    else:
        yield "ok", "data folder", str(folder.resolve())


def _unwritable(folder: Path) -> str:
    """Why nothing can be made in `folder`, which need not be there yet; '' where it can."""
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    return "" if os.access(nearest, os.W_OK) else f"{folder} cannot be written"


def _address(settings: Settings) -> Iterator[Finding]:
    what = f"http {settings.server.http}"
    host, _, port = settings.server.http.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and _is_telebot(host.strip("[]"), int(port)):
                yield "warn", what, "a telebot takes calls there already; a second needs --http"
            else:
                yield "fault", what, f"{error.strerror}; name another by --http"
        else:
            yield "ok", what, ""


def _is_telebot(host: str, port: int) -> bool:
    line = HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        line.request("GET", "/health/live")
        return line.getresponse().read(64) == b'{"live": true}'
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


def _audiosocket(settings: Settings) -> Iterator[Finding]:
    what = f"audiosocket {settings.server.audiosocket}"
    host, _, port = settings.server.audiosocket.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            yield "warn", what, f"{error.strerror}; name another by --audiosocket"
        else:
            yield "ok", what, ""


def _trunks(settings: Settings) -> Iterator[Finding]:
    what = f"sip {settings.server.sip}"
    host, _, port = settings.server.sip.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, SOCK_DGRAM) as probe:
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            yield "warn", what, f"{error.strerror}; name another by --sip"
        else:
            yield "ok", what, ""
    for trunk in trunks.load(settings.config_dir, settings.environ):
        known = [*trunk.settings.peers, *(["digest"] if trunk.credentials else [])]
        yield "ok", f"trunk {trunk.name}", f"known by {', '.join(known)}"


def _carriers(settings: Settings) -> Iterator[Finding]:
    carriers = Carriers(settings)
    for carrier in carriers:
        why = carrier.off()
        yield ("off" if why else "ok"), f"carrier {carrier.name}", why or ""
    for gap in abilities.missing(settings, carriers, _transfers(settings)):
        yield "warn", gap.who, gap.why
    public = settings.server.public_url
    if public and not public.startswith("https://"):
        yield "fault", "public URL", f"{public}: carriers want https://"


def _transfers(settings: Settings) -> dict[str, tuple[Transfer, ...]]:
    """Whom the agents put callers through to; of one that cannot be read nothing is known here."""
    found = {}
    for name, agent in load_agents(settings.config_dir).items():
        with contextlib.suppress(BadAgentFile):
            found[name] = Brain.load(agent.path).transfers()
    return found


def _agents(settings: Settings) -> Iterator[Finding]:
    yield from asyncio.run(_agent_findings(settings))


async def _agent_findings(settings: Settings) -> list[Finding]:
    agents = load_agents(settings.config_dir)
    load_numbers(settings.config_dir, agents)
    resources = Resources(LocalSpeech(), settings.environ, load_catalogue(settings.config_dir))
    phrases = PhraseStore(settings.phrases_folder)
    loader = AgentLoader(resources, phrases, Chains(resources, time.monotonic))
    found: list[Finding] = []
    vendors = registry.vendors()
    try:
        for name, settled in agents.items():
            try:
                agent = loader.check(settled)
            except Local as error:
                found.append(("fault", f"agent {name}", str(error)))
                continue
            found.append(("ok", f"agent {name}", ""))
            plans = [plan for kind in KINDS for plan in agent.plans[kind] if plan.name != DIALOG]
            vendors |= {plan.name.partition("/")[0] for plan in plans}
            asked = await asyncio.gather(*(probed(plan, resources) for plan in plans))
            for level, plan, why in asked:
                if level != "ok" or not plan.ours:
                    found.append(
                        (level, f"agent {name}", f"speech.{plan.kind}: {why or plan.name}")
                    )
        settings.check_pacing(vendors)
    except SettingsError as error:
        found.append(("fault", "pacing", str(error)))
    finally:
        await resources.close()
    return found


def _database(settings: Settings) -> Iterator[Finding]:
    url = settings.records.database_url.get_secret_value()
    if not url:
        yield "ok", "database", "SQLite in the data folder"
        return

    store = Store(url, settings.server.data)
    if store.file is not None and not store.file.exists():  # asking must not make it
        why = _unwritable(store.file.parent)
        yield ("fault" if why else "ok"), "database", why or f"{store.file} will be made"
        return

    async def reach() -> None:
        try:
            async with asyncio.timeout(10), store.reading():
                pass
        finally:
            await store.close()

    try:
        asyncio.run(reach())
    except Exception as error:  # whatever a driver raises is the finding
        yield "fault", "database", type(error).__name__
    else:
        yield "ok", "database", url.split("@")[-1]


def _speech(_: Settings) -> Iterator[Finding]:
    local = LocalSpeech()
    try:
        asyncio.run(local.load())
    finally:
        local.close()
    yield "ok", "local speech", ""


def _issuers(settings: Settings) -> Iterator[Finding]:
    async def asked(issuer: Issuer) -> int:
        bearers = Bearers(settings.auth, lambda: datetime.now(UTC), time.monotonic)
        try:
            return await bearers.keys_of(issuer).usable()
        finally:
            await bearers.close()

    for name, issuer in settings.auth.oidc.items():
        try:
            yield "ok", f"issuer {name}", f"{asyncio.run(asked(issuer))} keys"
        except IssuerAway as error:
            yield "fault", f"issuer {name}", f"{error}; is auth.oidc.{name} right?"


CHECKS = (
    _data_folder,
    _address,
    _audiosocket,
    _trunks,
    _carriers,
    _agents,
    _database,
    _issuers,
    _speech,
)
