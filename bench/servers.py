"""The servers that are compared and how each is started: one row per way of running one.

`waits_ms` are the waits that are configured and not the server's doing: the VAD's silence (200 ms)
and the scripted recogniser (20 ms). They are taken off the response in every table.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from bench.carrier_rest import carrier_rest
from bench.carrier_wire import Account
from bench.processes import Server, free_port, start

PUBLIC_URL = "https://telebot.example"
ADMIN_KEY = "bench-" + "0123456789abcdef" * 2
SHIPPED = Path(__file__).resolve().parent.parent / "config"
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Variant:
    """One server in one configuration."""

    name: str
    kind: str
    """`telebot`, `stock` or `floor`."""
    arguments: tuple[str, ...] = ()
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    """telebot's settings that differ from what ships."""
    agent: str = "bench"
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Agents beside those that ship, by name."""
    waits_ms: float = 220.0
    reply_s: float | None = 3.0
    """How long each reply lasts, where that is fixed."""
    over: str = "socket"
    """How calls come: `socket` (a carrier's media stream) or `sip`."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Files beside telebot.yaml that differ from what ships."""

    @property
    def webhook(self) -> str:
        return f"/twilio/voice?agent={self.agent}" if self.kind == "telebot" else "/twilio/voice"


BARE: dict[str, dict[str, Any]] = {
    "speech": {"endpointing": "vad"},
    "records": {"recording": False},
}
PIECES_100: dict[str, dict[str, Any]] = {**BARE, "media": {"piece_ms": 100}}

WORDS: dict[str, Any] = {
    "speech": {"stt": "local", "llm": "scripted", "tts": "scripted"},
    "phrases": {"greeting": "Hello, how can I help?"},
}
"""Agent `bench` with a recogniser that hears: whether a sound was words, decides."""

SIP_FILES: dict[str, dict[str, Any]] = {
    "numbers.yaml": {"numbers": {"*": "bench"}},
    "trunks.yaml": {
        "trunks": {"load": {"peers": ["127.0.0.1"], "max_calls": 2000, "rate": 1000}},
    },
}

CHAIN: dict[str, Any] = {
    "speech": {
        "stt": ["scripted", "local"],
        "llm": ["scripted", "dialog"],
        "tts": ["scripted", "local"],
    },
    "phrases": {"greeting": "Hello, how can I help?"},
}
"""Agent `bench` with a chain of each kind, of which the first link never fails."""

VARIANTS = {
    v.name: v
    for v in (
        Variant("stock-vad", "stock"),
        Variant("telebot-vad", "telebot", config=BARE),
        # 20 ms more: a packet waits for its beat
        Variant("telebot-sip", "telebot", config=BARE, over="sip", files=SIP_FILES, waits_ms=240.0),
        Variant("telebot-vad-100ms", "telebot", config=PIECES_100),
        Variant("stock-full", "stock", ("--turn-model", "--record")),
        Variant("telebot-full", "telebot"),
        Variant(
            "telebot-chain",
            "telebot",
            config=BARE,
            agent="bench-chain",
            agents={"bench-chain": CHAIN},
        ),
        Variant("telebot-words", "telebot", agent="bench-words", agents={"bench-words": WORDS}),
        Variant("telebot-front-desk", "telebot", agent="front-desk", reply_s=None),
        Variant("floor", "floor", waits_ms=0.0),
    )
}


def _telebot(variant: Variant, port: int, folder: Path) -> list[str]:
    config = folder / "telebot.yaml"
    if variant.agents or variant.files:
        shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    config.write_text(yaml.safe_dump(variant.config))
    for name, agent in variant.agents.items():
        (folder / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(agent))
    for name, tree in variant.files.items():
        (folder / name).write_text(yaml.safe_dump(tree))
    differs = bool(variant.config or variant.agents or variant.files)
    command = serve_command(port, folder, config if differs else None)
    return [*command, *variant.arguments]


def serve_command(port: int, folder: Path, config: Path | None = None) -> list[str]:
    """`telebot serve` on ports of its own, its data below `folder`."""
    command = [sys.executable, "-m", "telebot.cli", "serve"]
    if (script := Path(sys.executable).with_name("telebot")).exists():
        command = [str(script), "serve"]
    if config is not None:
        command += ["--config", str(config)]
    command += ["--http", f"127.0.0.1:{port}", "--data", str(folder / "data")]
    for option in ("--sip", "--audiosocket"):
        command += [option, f"127.0.0.1:{free_port()}"]
    return command


def _stock(variant: Variant, port: int, folder: Path) -> list[str]:
    recordings = folder / "recordings"
    recordings.mkdir()
    arguments = []
    for argument in variant.arguments:
        arguments += [argument, str(recordings)] if argument == "--record" else [argument]
    return [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "bench.stock.bot",
        "--port",
        str(port),
        *arguments,
    ]


def _floor(variant: Variant, port: int, folder: Path) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "bench.floor", "--port", str(port)]


COMMANDS = {"telebot": _telebot, "stock": _stock, "floor": _floor}


def kept_environment() -> dict[str, str]:
    """No vendor's key of the machine reaches a server under test."""
    return {k: v for k, v in os.environ.items() if k in KEPT_ENVIRONMENT}


def _environment(rest_url: str) -> dict[str, str]:
    kept = kept_environment()
    account = Account()
    return {
        **kept,
        "TWILIO_ACCOUNT_SID": account.sid,
        "TWILIO_AUTH_TOKEN": account.token,
        "TWILIO_BASE_URL": rest_url,
        "TELEBOT_PUBLIC_URL": PUBLIC_URL,
        "TELEBOT_ADMIN_KEY": ADMIN_KEY,
    }


@contextlib.contextmanager
def running(variant: Variant, on: set[int]) -> Iterator[Server]:
    """The server of a variant, up and pinned; everything it wrote is removed afterwards.

    Raises processes.ServerFailed.
    """
    folder = Path(tempfile.mkdtemp(prefix="telebot-bench-"))
    port = free_port()
    ready = "/health/ready" if variant.kind == "telebot" else ""
    try:
        with carrier_rest() as rest_url:
            command = COMMANDS[variant.kind](variant, port, folder)
            url = f"http://127.0.0.1:{port}"
            server = start(
                command, _environment(rest_url), url=url, ready_path=ready, folder=folder, on=on
            )
            try:
                yield server
            finally:
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_arguments(variant: Variant, server: Server) -> list[str]:
    """Where a load calls this server."""
    if variant.over == "sip":
        command = cast(Sequence[str], server.process.args)
        return [command[command.index("--sip") + 1]]
    return [server.url + variant.webhook, "--public-url", PUBLIC_URL + variant.webhook]
