"""sipp: calls after a scenario of `scenarios/`, and a verdict. It speaks SIP alone: the media port
that its SDP names is a `rtp_line.RtpLine` of the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from program import HOST, Program, found, free_ports, listens

SCENARIOS = Path(__file__).with_name("scenarios")


@dataclass(frozen=True)
class Outcome:
    """What a run came to: 0 is a run whose calls all went as the scenario says."""

    code: int
    messages: str
    """Every message both ways, as sipp logs them."""
    errors: str

    @property
    def passed(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        return f"code {self.code}: {self.errors[-1500:]}\n{self.messages[-6000:]}"


async def sipp(
    folder: Path,
    scenario: str,
    port: int,
    *,
    to: str = "+15550001",
    media_port: int = 0,
    calls: int = 1,
    rate: float = 10.0,
    at_once: int = 100,
    within_s: float = 60.0,
    user: str = "",
    password: str = "",
    host: str = HOST,
    pause_ms: int = 200,
    payloads: str = "0 101",
    ptime: int = 20,
    status: int = 486,
) -> Outcome:
    """Run the scenario against the server at `port`. Its SDP offers `payloads` at `ptime`; `status`
    is the one that a scenario of a refusal waits for."""
    own = free_ports()
    name = f"sipp-{scenario}-{own}"
    file = folder / f"{name}.xml"
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    file.write_text(text.replace("[status]", str(status)))
    argv = [found("sipp", "sip-tester"), f"{host}:{port}", "-sf", str(file)]
    argv += ["-i", host, "-p", str(own), "-mi", host]
    argv += ["-s", to, "-m", str(calls), "-r", str(rate), "-l", str(at_once), "-nostdin"]
    argv += ["-timeout", f"{within_s:.0f}s", "-timeout_error", "-recv_timeout", "30000"]
    argv += ["-trace_msg", "-message_file", f"{name}.messages", "-message_overwrite", "true"]
    argv += ["-trace_err", "-error_file", f"{name}.errors"]
    argv += ["-au", user, "-ap", password] if user else []
    argv += ["-d", str(pause_ms), "-key", "payloads", payloads, "-key", "ptime", str(ptime)]
    argv += ["-key", "audio_port", str(media_port or free_ports(2))]
    program = Program(argv, folder, name)
    program.start()
    code = await program.ended(within_s + 10)
    return Outcome(code, _read(folder / f"{name}.messages"), _read(folder / f"{name}.errors"))


@dataclass(frozen=True)
class Answering:
    """A sipp that waits for calls at `port`."""

    port: int
    program: Program
    name: str

    async def outcome(self, within_s: float = 20.0) -> Outcome:
        """What came of it, once all its calls are over."""
        code = await self.program.ended(within_s)
        folder = self.program.folder
        messages, errors = folder / f"{self.name}.messages", folder / f"{self.name}.errors"
        return Outcome(code, _read(messages), _read(errors))


@asynccontextmanager
async def sipp_answers(
    folder: Path, scenario: str, *, calls: int = 1, pause_ms: int = 100, status: int = 486
) -> AsyncIterator[Answering]:
    """The called side of a scenario."""
    own = free_ports()
    name = f"sipp-{scenario}-{own}"
    file = folder / f"{name}.xml"
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    file.write_text(text.replace("[status]", str(status)))
    argv = [found("sipp", "sip-tester"), "-sf", str(file), "-i", HOST, "-p", str(own)]
    argv += ["-mi", HOST, "-mp", str(free_ports(2)), "-m", str(calls), "-nostdin"]
    argv += ["-timeout", "60s", "-timeout_error", "-d", str(pause_ms)]
    argv += ["-trace_msg", "-message_file", f"{name}.messages", "-message_overwrite", "true"]
    argv += ["-trace_err", "-error_file", f"{name}.errors"]
    program = Program(argv, folder, name)
    program.start()
    try:
        await program.until(lambda: listens(own))
        yield Answering(own, program, name)
    finally:
        await program.stop()


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
