"""The server's end of the turn model's process: start it, ask it, start it again when it dies.

A model that is dead or late is no reason to keep a caller waiting: then the words decide alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import structlog

from telebot.audio.line import ULAW, Form
from telebot.speech.turn_worker import ANSWER, MAX_TICKS, REQUEST

READY_TIMEOUT_S = 30.0
STEADY_S = 60.0  # a process that lived this long did not fail at its start
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0)
MAX_UNREAD_BYTES = 1 << 21
HUNG_AFTER = 20  # answers late in a row; the process is then started anew
MAX_WAITING = 256  # more pauses than this at once are not asked about
log = structlog.get_logger()


class TurnModelProcess:
    """Owns the worker process. `asked`, `late` and `restarts` are counts for the metrics."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[float]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._number = 0
        self.asked = 0
        self.late = 0
        self._late_in_a_row = 0
        self.restarts = 0

    def begin(self) -> None:
        """Have it start beside whatever else is done."""
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name="turn model")

    async def start(self) -> None:
        """Returns when the model answers; a model that cannot start is logged, not raised."""
        self.begin()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), READY_TIMEOUT_S)

    async def close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
            await self._stop()  # where it was cancelled in the middle of that

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._ready.is_set()

    async def probability(self, audio: bytes, timeout_s: float, form: Form = ULAW) -> float | None:
        """That the turn in `audio` (as a line hears it, newest last) is over; None when nobody
        answers."""
        writer = self._writer
        if not self._ready.is_set() or writer is None or len(self._waiting) >= MAX_WAITING:
            return None
        if writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            return None
        self._number = self._number % 0xFFFF_FFFF + 1
        number, audio = self._number, audio[-MAX_TICKS * form.bytes_a_tick :]
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        writer.write(REQUEST.pack(number, form.rate_hz, len(audio)) + audio)
        self.asked += 1
        try:
            value = await asyncio.wait_for(answer, timeout_s)
        except TimeoutError:
            self.late += 1
            self._late_in_a_row += 1
            if self._late_in_a_row >= HUNG_AFTER:
                log.warning("turn model hangs")
                self._kill()
            return None
        finally:
            self._waiting.pop(number, None)
        self._late_in_a_row = 0
        return value

    async def _supervise(self) -> None:
        failures = 0
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                await self._run()
            except (OSError, EOFError) as error:  # TimeoutError and IncompleteReadError are these
                log.warning("turn model lost", error=repr(error))
            finally:
                await self._stop()
            self.restarts += 1
            if asyncio.get_running_loop().time() - begun > STEADY_S:
                failures = 0
            await asyncio.sleep(RESTART_S[min(failures, len(RESTART_S) - 1)])
            failures += 1

    async def _run(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "telebot.speech.turn_worker",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C for the server is not one for the model
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            reader, self._writer = await asyncio.open_connection(sock=ours)
        finally:
            theirs.close()
        async with asyncio.timeout(READY_TIMEOUT_S):
            await reader.readexactly(ANSWER.size)
        self._late_in_a_row = 0
        self._ready.set()
        while True:
            number, probability = ANSWER.unpack(await reader.readexactly(ANSWER.size))
            answer = self._waiting.get(number)
            if answer is not None and not answer.done():
                answer.set_result(probability)

    async def _stop(self) -> None:
        self._ready.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None:
            self._kill()  # it has nothing to put away, and may hang
            await self._process.wait()
            self._process = None

    def _kill(self) -> None:
        """End the process, which may just have ended by itself."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
