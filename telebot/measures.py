"""What the parts of a server count, registered with the metrics: one line a number.

`app.py` calls it once everything is built; the numbers are asked for when `/metrics` is read.
Latencies and calls are counted on their way into the record (`web/metrics.py:MeteredLog`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import Pace, Pacing
from telebot.providers.workers import WorkerStats
from telebot.records.archive import Archive
from telebot.speech.factory import Speech
from telebot.speech.turn_model import TurnModelProcess
from telebot.web.metrics import Metrics


def measure(metrics: Metrics, speech: Speech, local: LocalSpeech, archive: Archive) -> None:
    """Register everything that is not the edge's own."""
    metrics.gauge("tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks()))
    metrics.gauge("conversations", "Live conversations", lambda: len(speech.live))
    metrics.gauge("vad_slots", "Voice detectors in use", lambda: speech.vad.in_use)
    metrics.total("vad_windows", "Windows judged by the voice detector", lambda: speech.vad.windows)
    metrics.total("vad_batches", "Inferences they took", lambda: speech.vad.batches)
    _turn_model(metrics, speech)
    _worker(metrics, "stt", "Local recognitions", local.stt.stats)
    _worker(metrics, "tts", "Local syntheses", local.tts.stats)
    cache = local.tts.cache_stats
    metrics.total("tts_cache_hits", "Sentences found ready", lambda: cache().hits)
    metrics.total("tts_cache_misses", "Sentences synthesised", lambda: cache().misses)
    metrics.gauge("tts_cache_sentences", "Sentences kept", lambda: cache().entries)
    metrics.gauge("tts_cache_bytes", "Audio kept", lambda: cache().size_bytes)
    log, recorder = archive.log, archive.recorder
    metrics.gauge("records_waiting_rows", "Rows not written yet", lambda: log.waiting_rows)
    metrics.total("records_lost_rows", "Rows that could not be kept", lambda: log.lost_rows)
    metrics.total("recordings_failed", "Recordings stopped by a fault", lambda: recorder.failed)


def measure_pacing(metrics: Metrics, pacing: Pacing) -> None:
    """Who waits for a vendor's limit, by the vendor; accounts of one vendor are added up."""

    def of(number: Callable[[Pace], float]) -> Callable[[], Mapping[str, float]]:
        def read() -> Mapping[str, float]:
            sums: dict[str, float] = {}
            for pace in pacing:
                sums[pace.name] = sums.get(pace.name, 0.0) + number(pace)
            return sums

        return read

    gauges, totals = metrics.labelled_gauge, metrics.labelled_total
    gauges("pacing_running", "Requests under way", "provider", of(lambda it: it.running))
    gauges("pacing_waiting", "Requests waiting for a place", "provider", of(lambda it: it.waiting))
    totals("pacing_paced", "Requests that had to wait", "provider", of(lambda it: it.paced))
    totals("pacing_waited_seconds", "Their waits", "provider", of(lambda it: it.waited_s))
    totals("pacing_turned_away", "Without a place", "provider", of(lambda it: it.turned_away))


def _turn_model(metrics: Metrics, speech: Speech) -> None:
    def count(of: Callable[[TurnModelProcess], int]) -> Callable[[], float]:
        return lambda: of(speech.turn_model) if speech.turn_model is not None else 0

    metrics.gauge("turn_model_up", "1 while the turn model answers", count(lambda it: it.alive))
    metrics.total("turn_model_asked", "Pauses it was asked about", count(lambda it: it.asked))
    metrics.total("turn_model_late", "Answers that came too late", count(lambda it: it.late))
    metrics.total("turn_model_restarts", "Times it was lost", count(lambda it: it.restarts))


def _worker(
    metrics: Metrics, name: str, what: str, stats: Callable[[], WorkerStats | None]
) -> None:
    def of(number: Callable[[WorkerStats], float]) -> Callable[[], float]:
        def read() -> float:
            now = stats()
            return 0 if now is None else number(now)

        return read

    done = of(lambda now: now.done)
    metrics.gauge(f"{name}_queue", f"{what} waiting", of(lambda now: now.waiting))
    metrics.total(f"{name}_refused", f"{what} refused by a full queue", of(lambda now: now.refused))
    metrics.summary(
        f"{name}_queue_wait_seconds",
        f"{what}: waiting for a thread",
        done,
        of(lambda now: now.queue_ms_total / 1000),
    )
    metrics.summary(
        f"{name}_model_seconds",
        f"{what}: in the model",
        done,
        of(lambda now: now.model_ms_total / 1000),
    )
