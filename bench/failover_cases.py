"""The cases of `failover`: one vendor of one kind, one fault, one point; each is an agent whose
first link fails, and vendors of its own on a port of its own, since faults are a simulator's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from telebot.providers import registry
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.registry import Kind
from telebot.simulate import cli, faults
from telebot.simulate.registry import VENDORS, environ
from telebot.simulate.server import Simulator

KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")
USUAL: Mapping[Kind, str] = {"stt": "deepgram", "llm": "openai", "tts": "elevenlabs"}
LATENCY = "latency:3"
PROMPT = "You answer the phone of a restaurant, in one or two short sentences."
WIRES = {"deepgram-flux": "deepgram", "openai-whisper": "openai", "openai-compatible": "openai"}
NAMED: Mapping[tuple[Kind, str], Mapping[str, str]] = {  # what has no name to be called by
    ("llm", "openai-compatible"): {"model": "gpt-6-luna"},
    ("tts", "openai-compatible"): {"model": "gpt-4o-mini-tts", "voice": "alloy"},
}
# who goes on is not what is measured: on a machine that is busy it gets the time that it needs
PATIENT = {"start_s": 5.0, "first_s": 8.0, "stall_s": 5.0}


@dataclass(frozen=True, slots=True)
class Case:
    """`fault` is of `simulate/faults.py`, "" for none; `vendor` a name of the registry."""

    kind: Kind
    vendor: str
    fault: str = ""
    point: str = ""

    @property
    def name(self) -> str:
        """Of the case, and of its agent."""
        parts = (self.kind, self.vendor, self.fault.partition(":")[0].replace("_", "-"), self.point)
        return "-".join(part for part in parts if part)

    @property
    def wire(self) -> str:
        """The simulated vendor that speaks for it."""
        return WIRES.get(self.vendor, self.vendor)

    @property
    def command(self) -> list[faults.Fault]:
        """What its simulator is told."""
        if not self.fault:
            return []
        return [faults.Fault.parse(f"{self.wire}.{self.kind}={self.fault}@{self.point}")]


def matrix(kind: Kind, vendor: str) -> list[Case]:
    """Every fault at every point, and none."""
    names = [LATENCY if name == "latency" else name for name in faults.NAMES]
    product = itertools.product(names, faults.POINTS)
    return [Case(kind, vendor), *(Case(kind, vendor, fault, point) for fault, point in product)]


def simulated(kind: Kind) -> list[str]:
    """The vendors of a kind that there is a simulator of."""
    return [name for name in registry.PROVIDERS[kind] if WIRES.get(name, name) in VENDORS]


@dataclass(slots=True)
class Stage:
    """A case with its vendors running. `spec` names the first link."""

    case: Case
    sim: Simulator
    spec: Mapping[str, Any]

    def agent(self, chain: Sequence[Any] | None = None) -> dict[str, Any]:
        """Its agent's file; `chain` instead of the case's own. The other kinds do not fail."""
        case = self.case
        after: Any = "local"
        if case.kind == "llm":
            after = {"service": "groq" if case.vendor == "openai" else "openai", **PATIENT}
        speech: dict[str, Any] = {"stt": "local", "llm": [], "tts": "local", "prompt": PROMPT}
        speech["llm"] = [{"service": "openai", **PATIENT}, "dialog"]
        speech[case.kind] = list(chain) if chain is not None else [self.spec, after]
        return {"speech": speech, "phrases": {"greeting": "Hello.", **UNUSED}}


# none of these is said here, and none is to be made for each agent
UNUSED = dict.fromkeys(
    ("reprompt_1", "reprompt_2", "silence_goodbye", "max_duration", "apology", "closing",
     "transfer", "transfer_failed", "no_match", "not_understood", "not_understood_again",
     "apology_transfer", "leave_message", "message_thanks",
     "corrected", "what_to_change", "abandoned", "anything_else", "how_can_i_help", "goodbye"),
    "Goodbye.",
)  # fmt: skip


@asynccontextmanager
async def staged(
    local: LocalSpeech, cases: Iterable[Case]
) -> AsyncIterator[tuple[list[Stage], dict[str, str]]]:
    """The cases with their vendors, healthy still, and the environment of a server for them."""
    stacks: list[AsyncExitStack] = []

    async def vendors(names: Iterable[str]) -> tuple[Simulator, cli.Simulation]:
        sim = Simulator(local)
        stacks.append(stack := AsyncExitStack())
        running = cli.running(sim, "127.0.0.1", 0, names)
        return sim, await stack.enter_async_context(running)

    try:
        _, healthy = await vendors(("openai", "groq"))
        stages = []
        for case in cases:
            sim, simulation = await vendors((case.wire,))
            url = simulation.environ[case.wire][f"{case.wire.upper()}_BASE_URL"]
            named = NAMED.get((case.kind, case.vendor), {})
            stages.append(Stage(case, sim, {"service": case.vendor, "base_url": url, **named}))
        yield stages, environ(f"http://{healthy.http}")
    finally:  # all at once: each waits for exchanges that stall
        await asyncio.gather(*(stack.aclose() for stack in stacks))


def write_config(folder: Path, agents: Mapping[str, Mapping[str, Any]]) -> Path:
    """A configuration of these agents; its file."""
    (folder / "agents").mkdir(parents=True, exist_ok=True)
    for name, tree in agents.items():
        (folder / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(dict(tree)))
    (folder / "numbers.yaml").write_text(f'numbers:\n  "*": {next(iter(agents))}\n')
    file = folder / "telebot.yaml"
    file.write_text("server:\n  drain_s: 0\n")
    return file
