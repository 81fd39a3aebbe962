"""Threads that own models: a bounded FIFO queue between many calls and few models, measured.

The local recogniser and the local voice run on it; nothing in here knows about speech.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from telebot.call.errors import ProviderBusy, ProviderError

M = TypeVar("M")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Counters since the start, for an exporter. Totals are milliseconds."""

    threads: int
    waiting: int
    waiting_most: int
    running: int
    done: int
    skipped: int
    refused: int
    queue_ms_total: float
    queue_ms_most: float
    model_ms_total: float


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A job's result, how long it waited and how long the model took."""

    value: T
    queue_ms: float
    model_ms: float


@dataclass(eq=False, slots=True)
class _Job(Generic[M, T]):
    work: Callable[[M], T]
    put_at_s: float


@dataclass
class _Counters:
    waiting_most: int = 0
    running: int = 0
    done: int = 0
    skipped: int = 0
    refused: int = 0
    queue_ms: float = 0.0
    queue_ms_most: float = 0.0
    model_ms: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ModelThreads(Generic[M]):
    """Runs jobs on models, each of which is used by one thread at a time.

    `models` has one entry for each thread; the same object may stand in it several times when it
    is thread-safe. At most `waiting_limit` jobs wait; a job cancelled while it waits never runs.
    """

    def __init__(
        self,
        name: str,
        models: Sequence[M],
        *,
        waiting_limit: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._free: queue.SimpleQueue[M] = queue.SimpleQueue()
        for model in models:
            self._free.put(model)
        self._size = len(models)
        self._limit = waiting_limit
        self._clock = clock
        self._waiting: set[object] = set()
        self._counters = _Counters()
        self._closed = False
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix=name)

    def submit(self, work: Callable[[M], T]) -> Future[Done[T]]:
        """Queue `work`. Raises ProviderBusy when the queue is full, ProviderError when closed."""
        counters = self._counters
        if self._closed:
            raise ProviderError("the local models are closed")
        with counters.lock:
            if len(self._waiting) >= self._limit:
                counters.refused += 1
                raise ProviderBusy(f"{len(self._waiting)} jobs wait for {self._size} local models")
            job = _Job(work, self._clock())
            self._waiting.add(job)
            counters.waiting_most = max(counters.waiting_most, len(self._waiting))
        future = self._threads.submit(self._run, job)
        future.add_done_callback(lambda done: self._forget(job, done.cancelled()))
        return future

    def _run(self, job: _Job[M, T]) -> Done[T]:
        counters = self._counters
        started_s = self._clock()
        queue_ms = (started_s - job.put_at_s) * 1e3
        with counters.lock:
            self._waiting.discard(job)
            counters.running += 1
            counters.queue_ms += queue_ms
            counters.queue_ms_most = max(counters.queue_ms_most, queue_ms)
        model = self._free.get()  # never waits: as many threads as models
        try:
            value = job.work(model)
        finally:
            self._free.put(model)
            model_ms = (self._clock() - started_s) * 1e3
            with counters.lock:
                counters.running -= 1
                counters.done += 1
                counters.model_ms += model_ms
        return Done(value, queue_ms, model_ms)

    def _forget(self, job: object, cancelled: bool) -> None:
        if cancelled:
            with self._counters.lock:
                self._waiting.discard(job)
                self._counters.skipped += 1

    def stats(self) -> WorkerStats:
        """A consistent copy of the counters."""
        c = self._counters
        with c.lock:
            return WorkerStats(
                threads=self._size,
                waiting=len(self._waiting),
                waiting_most=c.waiting_most,
                running=c.running,
                done=c.done,
                skipped=c.skipped,
                refused=c.refused,
                queue_ms_total=c.queue_ms,
                queue_ms_most=c.queue_ms_most,
                model_ms_total=c.model_ms,
            )

    def close(self) -> None:
        """Drop what waits, let what runs finish, join the threads. Safe to call twice."""
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)
