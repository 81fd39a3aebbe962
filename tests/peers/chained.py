"""A chain in a pipeline of its own, against simulated vendors."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from service_line import Line, running
from simulated import Simulated

from telebot.agent_settings import AgentSpeech
from telebot.audio.line import PHONE
from telebot.audio.line import Line as CallLine
from telebot.providers.chain import Chain
from telebot.providers.failure import Failure
from telebot.providers.link import Patience
from telebot.providers.registry import Kind, Spec
from telebot.settings import VendorLimits
from telebot.speech.chains import Chains, plans

OURS = ("local", "dialog", "scripted")


def _vendor(spec: Spec) -> str:
    return spec if isinstance(spec, str) else str(spec["service"])


PATIENT = {"start_s": 30, "first_s": 30, "stall_s": 30}


def _patient(spec: Spec) -> dict[str, Any]:
    bare = {"service": spec} if isinstance(spec, str) else dict(spec)
    return {**PATIENT, **bare}


@dataclass
class Told:
    """What a chain told its listener."""

    served: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    used: list[tuple[str, float, str]] = field(default_factory=list)
    exhausted: int = 0

    def link_served(self, kind: str, name: str) -> None:
        self.served.append(name.partition("/")[0])

    def link_failed(self, kind: str, name: str, failure: Failure) -> None:
        self.failed.append((name.partition("/")[0], failure.cause.value))

    def link_used(self, kind: str, name: str, quantity: float, unit: str) -> None:
        self.used.append((name.partition("/")[0], quantity, unit))

    def chain_exhausted(self, kind: str) -> None:
        self.exhausted += 1


@dataclass
class Chained:
    line: Line
    told: Told
    chains: Chains
    chain: FrameProcessor

    def well_again(self) -> None:
        """The fault is over: from now on nobody is left by a deadline."""
        assert isinstance(self.chain, Chain)
        for port in self.chain._ports:
            port.link.patience = Patience(**PATIENT)


@asynccontextmanager
async def chained(
    vendor: Simulated,
    kind: Kind,
    specs: Sequence[Spec],
    *,
    chains: Chains | None = None,
    brain: Any = None,
    hasty: str = "",
    limits: Mapping[str, VendorLimits] | None = None,
    at: CallLine = PHONE,
) -> AsyncIterator[Chained]:
    """A started pipeline with the chain of these specs, of a call on the line `at`; `chains` keeps
    breakers between two.

    Only the vendor `hasty` is left by the deadlines of a call (with `limits`, which are judged by
    them, every one); the others have all the time that a busy machine takes, so that what is
    tested is the fault and not the machine."""
    chains = chains or Chains(vendor.resources, time.monotonic, pacing=limits)
    told = Told()
    as_in_a_call = [limits is not None or _vendor(spec) in (hasty, *OURS) for spec in specs]
    settled = [
        spec if as_it_is else _patient(spec)
        for spec, as_it_is in zip(specs, as_in_a_call, strict=True)
    ]
    speech = AgentSpeech(**{kind: settled})
    chain = chains.of(plans(kind, speech, vendor.resources, ""), told, brain, line=at)
    async with running(chain, at=at) as line:
        yield Chained(line, told, chains, chain)
