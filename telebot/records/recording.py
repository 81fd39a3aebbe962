"""Stereo recordings of calls: caller left, bot right, every sample where it was heard.

The pipeline hands in pieces of audio with their offsets; one thread for all calls places them
(`track.py`) and writes about once a second (`wav.py`). A disk that is full or slow ends the
recording, never the call. What became of it goes to the call's record through `finished`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog

from telebot.audio.line import PHONE, Line
from telebot.call.model import Call
from telebot.call.ports import Clock
from telebot.records import wav
from telebot.records.track import BOT, CALLER, Piece, Track

log = structlog.get_logger(__name__)

WRITE_EVERY_S = 1.0
TICK_S = 0.05  # calls are spread over the second, so that no write burst stalls the event loop
MAX_WAITING_TICKS = 1 << 20  # two minutes of one channel: the disk hangs
CLOSE_S = 10.0
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class RecordingState(StrEnum):
    """What a call's record says of its recording."""

    OFF = "off"
    LIVE = "live"  # the call is up, or its file not finished yet
    READY = "ready"
    FAILED = "failed"  # stopped by a fault; what was written before it can be heard


class Finished(Protocol):
    """Told of every recording twice: when it begins and when its file is finished."""

    def __call__(
        self, call_id: str, state: str, path: str, seconds: float | None, error: str | None
    ) -> None: ...


class CallRecording:
    """One call's recording, as `call.ports.Recording` has it. Methods of the event loop keep
    references only; those with an underscore belong to the recorder's thread."""

    def __init__(
        self, call_id: str, path: Path, name: str, clock: Clock, line: Line = PHONE
    ) -> None:
        self._line = line
        self._most_bytes = MAX_WAITING_TICKS * line.says.bytes_a_tick
        self.call_id = call_id
        self.path = path
        self.name = name  # the path below the data folder
        self.error: str | None = None
        self.closed = False
        self._clock = clock
        self._began = clock()
        self._due = self._began + WRITE_EVERY_S
        self._pieces: tuple[deque[Piece], deque[Piece]] = (deque(), deque())
        self._bytes_in = 0  # counted by the event loop alone
        self._bytes_out = 0  # counted by the thread alone
        self._track: Track | None = None

    def caller(self, audio: bytes, at_tick: int) -> None:
        self._keep(CALLER, audio, at_tick)

    def bot(self, audio: bytes, at_tick: int) -> None:
        self._keep(BOT, audio, at_tick)

    def close(self) -> None:
        self.closed = True

    def _keep(self, channel: int, audio: bytes, at_tick: int) -> None:
        if self.error is not None or self.closed:
            return
        self._bytes_in += len(audio)
        if self._bytes_in - self._bytes_out > self._most_bytes:
            self.error = "too_slow"
            return
        self._pieces[channel].append((at_tick, audio))

    def is_due(self, now: float) -> bool:
        return self.closed or now >= self._due

    def write(self, now: float) -> None:
        """Put what has come so far into the file. A fault ends the recording."""
        self._due = now + WRITE_EVERY_S
        taken = [self._taken(channel) for channel in (CALLER, BOT)]
        self._bytes_out += sum(len(audio) for pieces in taken for _, audio in pieces)
        if self.error is not None:
            return  # said once; a disk that was full is not tried again
        try:
            if self._track is None:
                rate_hz = self._line.hears.rate_hz
                self._track = Track(wav.create(self.path, rate_hz), self._line)
            for channel, pieces in zip((CALLER, BOT), taken, strict=True):
                self._track.put(channel, pieces, now - self._began)
            self._track.flush(last=self.closed)
        except OSError as error:
            self.error = _named(error)
            log.error("recording_stopped", call_id=self.call_id, error=self.error)
        except Exception:  # the boundary of one call's recording: the others go on
            self.error = "fault"
            log.exception("recording_stopped", call_id=self.call_id, error=self.error)

    def finish(self) -> tuple[RecordingState, float]:
        """Close the file; what to say of it."""
        seconds = 0.0
        if self._track is not None:
            seconds = self._track.seconds
            os.close(self._track.descriptor)
            if self._track.dropped_samples:
                log.warning(
                    "recording_dropped", call_id=self.call_id, samples=self._track.dropped_samples
                )
            self._track = None
        state = RecordingState.READY if self.error is None else RecordingState.FAILED
        return state, seconds

    def _taken(self, channel: int) -> list[Piece]:
        queue = self._pieces[channel]
        return [queue.popleft() for _ in range(len(queue))]


class FileRecorder:
    """Implements `call.ports.Recorder`; owns the thread and every open file.

    `wanted` says whether a call is to be recorded at all."""

    def __init__(
        self, data: Path, wanted: Callable[[Call], bool], finished: Finished, clock: Clock
    ) -> None:
        self._data = data
        self._wanted = wanted
        self._finished = finished
        self._clock = clock
        self._live: dict[str, CallRecording] = {}
        self.failed = 0  # stopped by a fault, since the start
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, call: Call, line: Line = PHONE) -> CallRecording | None:
        """None where the call is not to be recorded, or the recorder is closed."""
        if self._stop.is_set() or not _SAFE_ID.match(call.id) or not self._wanted(call):
            return None
        name = f"recordings/{call.created_at:%Y/%m/%d}/{call.id}.wav"
        recording = CallRecording(call.id, self._data / name, name, self._clock, line)
        self._finished(call.id, RecordingState.LIVE, name, None, None)
        self._live[call.id] = recording
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
            self._thread.start()
        return recording

    async def close(self) -> None:
        """Finish every file; recordings still open are closed as they are."""
        for recording in list(self._live.values()):
            recording.close()
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_S)
            self._thread = None
        await asyncio.sleep(0)  # what the thread handed over is said now

    def _write(self) -> None:
        while True:
            stopping = self._stop.is_set()
            self.tick()
            if stopping:
                return
            self._stop.wait(TICK_S)

    def tick(self) -> None:
        """Write the recordings whose turn it is; finish those that are closed."""
        now = self._clock()
        for recording in list(self._live.values()):
            if not recording.is_due(now):
                continue
            closed = recording.closed  # read before writing: nothing comes after it
            recording.write(now)
            if closed:
                del self._live[recording.call_id]
                self._say(recording, *recording.finish())

    def _say(self, recording: CallRecording, state: RecordingState, seconds: float) -> None:
        self.failed += state is RecordingState.FAILED
        said = (recording.call_id, state, recording.name, seconds, recording.error)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finished, *said)


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
