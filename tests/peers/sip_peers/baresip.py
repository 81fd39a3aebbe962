"""baresip as a telephone: it speaks a WAV file, writes down what it hears, and is told what to do
over its control port (a netstring of JSON each way; `modules/ctrl_tcp` of its source).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from program import HOST, Program, found, free_ports

RATE_HZ = 8000
ANSWER_S = 30.0

CONFIG = """\
poll_method epoll
sip_listen {host}:{sip}
{certificate}
call_local_timeout 60
call_max_calls 4
audio_source aufile,{speaks}
audio_player aubridge,{name}
audio_alert aubridge,{name}
audio_buffer 20-160
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp}-{rtp_end}
rtp_stats yes
jitter_buffer_delay 1-5
net_interface {host}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {heard}
ringback_disabled yes
menu_bell no
"""
SIP_PORTS = 2  # the second is TLS's
RTP_PORTS = 20
SILENT_S = 240  # a call ends with the file that is spoken


def write_wav(path: Path, pcm16: bytes) -> Path:
    """Int16 at 8 kHz, with silence behind it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm16 + bytes(SILENT_S * RATE_HZ * 2))
    return path


def tone(hz: float, seconds: float) -> bytes:
    """Int16 at 8 kHz."""
    time = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    return bytes((np.sin(2 * np.pi * hz * time) * 8000).astype("<i2").tobytes())


def strength(pcm16: bytes, hz: float) -> float:
    """How much of the loudest second of `pcm16` is the tone: 1.0 a pure one, 0.0 none of it."""
    sound = np.frombuffer(pcm16, "<i2").astype(float)
    best = 0.0
    for at in range(0, max(1, len(sound) - RATE_HZ), RATE_HZ // 2):
        part = sound[at : at + RATE_HZ]
        if len(part) < RATE_HZ // 2 or np.abs(part).max() < 500:
            continue
        power = np.abs(np.fft.rfft(part)) ** 2
        if (total := power.sum()) > 0:
            index = round(hz * len(part) / RATE_HZ)
            best = max(best, float(power[max(0, index - 3) : index + 4].sum() / total))
    return best


@dataclass
class Baresip:
    """A running baresip with one account. `events` are what it told, the oldest first."""

    program: Program
    sip: int
    heard_folder: Path
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    user: str
    events: list[dict[str, Any]] = field(default_factory=list)
    _answers: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _tokens: itertools.count[int] = field(default_factory=itertools.count)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{HOST}:{self.sip}"

    async def command(self, command: str, params: str = "") -> str:
        """One of baresip's commands (`dial`, `accept`, `hangup`, `hold`, `resume`, `transfer`,
        `sndcode` …); what it answered. Raises AssertionError where it refuses."""
        token = str(next(self._tokens))
        message = json.dumps({"command": command, "params": params, "token": token}).encode()
        self._answers[token] = answer = asyncio.get_running_loop().create_future()
        self._writer.write(b"%d:%s," % (len(message), message))
        said = await asyncio.wait_for(answer, ANSWER_S)
        assert said["ok"], (command, params, said, self.program.said()[-2000:])
        return str(said["data"])

    async def dial(self, uri: str) -> None:
        await self.command("dial", uri)

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def speak(self, wav: Path) -> None:
        """Say the file from now on, in the call that is up."""
        await self.command("ausrc", f"aufile,{wav}")

    async def press(self, digits: str) -> None:
        for digit in digits:
            await self.command("sndcode", digit)

    async def event(self, kind: str, count: int = 1, within_s: float = ANSWER_S) -> dict[str, Any]:
        """The `count`-th event of `kind` (CALL_INCOMING, CALL_RINGING, CALL_ESTABLISHED,
        CALL_CLOSED, CALL_TRANSFER, REGISTER_OK …), as soon as it is there."""
        try:
            async with asyncio.timeout(within_s):
                while len(those := self.of(kind)) < count:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            told = [event["type"] for event in self.events]
            raise AssertionError(f"no {kind}: {told} {self.program.said()[-2000:]}") from None
        return those[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def heard(self) -> bytes:
        """All that was heard so far, call after call: int16 at 8 kHz. Of a call that is still up
        the last moments may be missing."""
        sound = b""
        for path in sorted(self.heard_folder.glob("*-dec.wav")):
            content = path.read_bytes()  # the header of a file that grows names no length
            at = content.find(b"data")
            sound += content[at + 8 :] if at >= 0 else b""
        return sound[: len(sound) // 2 * 2]

    async def read(self) -> None:
        """Until the control port is closed."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads((await self._reader.readexactly(size + 1))[:-1])
                if message.get("event"):
                    self.events.append(message)
                    self._told.set()
                elif answer := self._answers.pop(message.get("token", ""), None):
                    answer.set_result(message)


@asynccontextmanager
async def baresip(
    folder: Path,
    user: str,
    speaks: bytes | Path,
    *,
    account: str = "",
    uri: str = "",
    certificate: Path | None = None,
    authority: Path | None = None,
    sip: int = 0,
) -> AsyncIterator[Baresip]:
    """A telephone that says `speaks` (int16 at 8 kHz, or a WAV file) in every call, on the port
    `sip` or on one that is free.

    `account` are its parameters (`;answermode=auto;mediaenc=srtp-mand;outbound="sip:…"`), `uri`
    what it calls itself (`sip:user@127.0.0.1` otherwise); it does not register unless they say so.
    """
    program_path = found("baresip", "baresip-core")
    home = folder / user
    heard = home / "heard"
    heard.mkdir(parents=True)
    wav = speaks if isinstance(speaks, Path) else write_wav(home / "speaks.wav", speaks)
    sip = sip or free_ports(SIP_PORTS)
    rtp, control = free_ports(RTP_PORTS), free_ports()
    lines = [f"sip_certificate {certificate}"] if certificate else []
    lines += [f"sip_cafile {authority}"] if authority else []
    (home / "config").write_text(
        CONFIG.format(
            host=HOST, sip=sip, rtp=rtp, rtp_end=rtp + RTP_PORTS - 1, control=control, name=user,
            speaks=wav, heard=heard, certificate="\n".join(lines), modules=modules(program_path),
        )
    )  # fmt: skip
    own = uri or f"sip:{user}@{HOST}"
    register = "" if "regint" in account else ";regint=0"
    (home / "accounts").write_text(f"<{own}>{register}{account}\n")
    (home / "contacts").write_text("")
    program = Program([program_path, "-f", str(home), "-v", "-s"], home, f"baresip-{user}")
    program.start()
    reading = None
    try:
        await program.until(lambda: "baresip is ready" in program.said())
        reader, writer = await asyncio.open_connection(HOST, control)
        phone = Baresip(program, sip, heard, reader, writer, user)
        reading = asyncio.create_task(phone.read())
        yield phone
        with contextlib.suppress(AssertionError, TimeoutError, ConnectionError):
            await phone.command("quit")
    finally:
        if reading is not None:
            reading.cancel()
            writer.close()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await reading
        await program.stop()


def modules(program: str) -> Path:
    """Where the package puts baresip's modules."""
    return Path(program).parents[1] / "lib" / "baresip" / "modules"
