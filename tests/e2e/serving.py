"""Runs `telebot serve` as a user does, and reads its records as a user does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from shared_phrases import shared

from telebot.phone.phone import Phone

REPOSITORY = Path(__file__).resolve().parents[2]
TELEBOT = Path(sys.executable).parent / "telebot"
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
RECORD_TIMEOUT_S = 60.0  # the record is there a second after the end; this machine may be busy
READY = re.compile(
    r"\bready\b.*\bhttp=(?:http://)?([\w.\[\]:]+:\d+)(?:.*\baudiosocket=([\w.\[\]:]+:\d+))?"
)
SIP = re.compile(r"\bready\b.*\bsip=(?:sip:)?[\w.\[\]:]+:(\d+)")
# what the tests' own environment must not change about the server
FOREIGN = re.compile(
    r"TELEBOT_|TWILIO_|TELNYX_|PLIVO_|VONAGE_|EXOTEL_|ASTERISK_|AUDIOSOCKET_|FREESWITCH_|AUDIOFORK_"
    r"|JAMBONZ_|GENESYS_|_API_KEY$|_proxy$|_PROXY$"
)


Start = Callable[..., "Server"]
Dial = Callable[..., Phone]
Desk = Callable[..., "Server"]


def free_port() -> int:
    """A TCP port nobody listens on, for a server whose URL must be known before it starts."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """A `telebot serve` with a data folder of its own on ports of its own."""

    command = (str(TELEBOT),)

    def __init__(self, data: Path, config: Path, http: str = "127.0.0.1:0", **environ: str) -> None:
        self.data = data
        self._http = http
        self.url = self.audiosocket = ""
        self.log: list[str] = []
        self._config = config
        self._environ = environ
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Server:
        argv = [*self.command, "serve", "--data", str(self.data), "--http", self._http]
        argv += ["--sip", "127.0.0.1:0", "--audiosocket", "127.0.0.1:0"]
        argv += ["--config", str(self._config)]
        environ = {key: value for key, value in os.environ.items() if not FOREIGN.search(key)}
        self._process = subprocess.Popen(
            argv,
            cwd=REPOSITORY,
            env={**environ, **shared(self._environ), **self._environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        try:
            self.url = "http://" + self._ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            try:
                assert self.stop() == 0, self.tail()
            finally:
                self.kill()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process
        return self._process

    @property
    def key(self) -> str:
        """The key that the server wrote into its data folder."""
        return (self.data / "admin-key").read_text().strip()

    @property
    def sip_port(self) -> int:
        """Where it takes calls over SIP."""
        return next(int(found[1]) for line in self.log if (found := SIP.search(line)))

    def terminate(self) -> None:
        """SIGTERM: take no more calls, let the live ones finish."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        self.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def tail(self) -> str:
        """The last of what it logged."""
        return "\n".join(self.log[-40:])

    async def get(self, path: str) -> Any:
        """JSON of an API path, with the key the server wrote into its data folder."""
        async with self._ask(path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any) -> Any:
        """JSON to an API path; what it answered."""
        async with self._ask(path, "POST", body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def get_bytes(self, path: str) -> bytes:
        async with self._ask(path) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    async def record(self, call_sid: str) -> dict[str, Any]:
        """The finished record of the one call with this id."""
        found: dict[str, Any] = {}
        for _ in range(round(RECORD_TIMEOUT_S / 0.1)):
            rows = (await self.get("/v1/calls?limit=100"))["data"]
            matching = [row for row in rows if row["carrier_call_id"] == call_sid]
            assert len(matching) <= 1, "one call, one record"
            if matching:
                found = await self.get(f"/v1/calls/{matching[0]['id']}")
                if found["state"] == "ended" and found["recording"]["state"] != "live":
                    return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"no finished record of {call_sid}: {found}\n{self.tail()}")

    @contextlib.asynccontextmanager
    async def _ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        key = await asyncio.to_thread(lambda: self.key)
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.request(method, self.url + path, headers=headers, json=body) as response,
        ):
            yield response

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self.log.append(line.rstrip("\n"))
                self._lines.put(line)
        self._lines.put(None)

    def _ready(self) -> str:
        while True:
            try:
                line = self._lines.get(timeout=START_TIMEOUT_S)
            except queue.Empty:
                raise AssertionError(f"not ready in time:\n{self.tail()}") from None
            if line is None:
                raise AssertionError(f"the server ended:\n{self.tail()}")
            if found := READY.search(line):
                self.audiosocket = found[2] or ""
                return found[1]
