"""What the parts of a server count, registered with the metrics: one line a number.

`app.py` calls it once everything is built; the numbers are asked for when `/metrics` is read.
Latencies and calls are counted on their way into the record (`web/metrics.py:MeteredLog`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from telebot.providers.breaker import Breaker, Breakers, State
from telebot.providers.clip_cache import CacheStats
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import Pace, Pacing
from telebot.providers.workers import WorkerStats
from telebot.records.archive import Archive
from telebot.sip.calls import SipCalls
from telebot.sip.ports import Ports
from telebot.sip.server import SipServer
from telebot.sip.stack import Stack
from telebot.sip.stats import COUNTED, MEASURED
from telebot.speech.chains import Chains
from telebot.speech.factory import Speech
from telebot.speech.turn_model import TurnModelProcess
from telebot.web.metrics import Metrics

SIP_COUNTED = {
    "sip_messages_received": "SIP messages that came and could be looked at",
    "sip_messages_sent": "SIP messages that went out, retransmissions too",
    "sip_messages_dropped": "Datagrams not looked at, because too many waited",
    "sip_invites_over_rate": "Calls of addresses that called too fast, answered 503",
    "sip_digests_wrong": "Wrong passwords",
    "sip_lockouts": "Times an address was locked out",
}
Sample = tuple[Sequence[str], float]
UP = {State.CLOSED: 1.0, State.HALF_OPEN: 0.5, State.OPEN: 0.0}


def measure(
    metrics: Metrics, speech: Speech, local: LocalSpeech, archive: Archive, chains: Chains
) -> None:
    """Register everything that is not the edge's own."""
    _providers(metrics, chains.breakers)
    _pacing(metrics, chains.pacing)
    metrics.gauge("tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks()))
    metrics.gauge("conversations", "Live conversations", lambda: len(speech.live))

    def of_all(name: str) -> Callable[[], int]:
        return lambda: sum(getattr(vad, name) for vad in speech.vads.values())

    metrics.gauge("vad_slots", "Voice detectors in use", of_all("in_use"))
    metrics.total("vad_windows", "Windows judged by the voice detector", of_all("windows"))
    metrics.total("vad_batches", "Inferences they took", of_all("batches"))
    _turn_model(metrics, speech)
    _worker(metrics, "stt", "Local recognitions", local.stt.stats)
    _worker(metrics, "tts", "Local syntheses", local.tts.stats)
    cache = local.tts.cache_stats
    metrics.total("tts_cache_hits", "Sentences found ready", lambda: cache().hits)
    metrics.total("tts_cache_misses", "Sentences synthesised", lambda: cache().misses)
    metrics.gauge("tts_cache_sentences", "Sentences kept", lambda: cache().entries)
    metrics.gauge("tts_cache_bytes", "Audio kept", lambda: cache().size_bytes)
    measure_cache(metrics, "kept_replies", "Models' first replies", chains.kept_replies.stats)
    if chains.kept_voice is not None:
        measure_cache(
            metrics, "kept_voice", "Fixed sentences of vendors' voices", chains.kept_voice.stats
        )
    log, recorder = archive.log, archive.recorder
    metrics.gauge("records_waiting_rows", "Rows not written yet", lambda: log.waiting_rows)
    metrics.total("records_lost_rows", "Rows that could not be kept", lambda: log.lost_rows)
    metrics.total("recordings_failed", "Recordings stopped by a fault", lambda: recorder.failed)


def measure_registrations(metrics: Metrics, registered: Callable[[], dict[str, bool]]) -> None:
    """Where SIP trunks' registrations stand."""

    def each() -> Iterator[Sample]:
        for trunk, is_so in registered().items():
            yield (trunk,), float(is_so)

    about = "1 while a trunk is registered at its PBX or provider"
    metrics.family(GaugeMetricFamily, "sip_registered", about, ("trunk",), each)


def measure_sip(metrics: Metrics, server: SipServer) -> None:
    """Register everything of SIP."""
    measure_signalling(metrics, server.stack, server.calls)
    measure_rtp(metrics, server.ports)
    measure_registrations(metrics, server.registered)


def measure_signalling(metrics: Metrics, stack: Stack, calls: SipCalls) -> None:
    """What SIP's signalling counts."""
    for name, about in SIP_COUNTED.items():
        metrics.total(name, about, partial(stack.counted, name))
    metrics.family(
        CounterMetricFamily,
        "sip_invites_refused",
        "Calls turned away before they were any, by status",
        ("status",),
        lambda: (((str(status),), count) for status, count in stack.refused()),
    )
    metrics.family(
        GaugeMetricFamily,
        "sip_calls",
        "Live calls of a trunk",
        ("trunk",),
        lambda: (((trunk,), count) for trunk, count in calls.of_trunk.items()),
    )


def measure_rtp(metrics: Metrics, ports: Ports) -> None:
    """The media of SIP calls; packets are counted when their call is over."""
    totals, beats = ports.totals, ports.beats
    metrics.gauge("rtp_ports_free", "Pairs of RTP ports left", lambda: ports.free)
    metrics.total("rtp_beats_skipped", "Times of 10 ms without sending", lambda: beats.skipped)
    for name in COUNTED:
        metrics.total(f"rtp_{name}", f"RTP: {name}", partial(totals.count, name))
    for name in MEASURED:
        calls, total = partial(totals.calls, name), partial(totals.sum, name)
        metrics.summary(f"rtp_{name}", f"RTP: {name} of a call", calls, total)
    metrics.family(
        CounterMetricFamily,
        "rtp_junk",
        "Datagrams dropped, by why",
        ("why",),
        lambda: [((why,), count) for why, count in totals.junk.items()],
    )


def _providers(metrics: Metrics, breakers: Breakers) -> None:
    labels = ("kind", "provider")

    def each(of: Callable[[Breaker], float | None]) -> Callable[[], Iterator[Sample]]:
        def read() -> Iterator[Sample]:
            for breaker in breakers:
                value = of(breaker)
                if value is not None:
                    yield (breaker.kind, breaker.name), value

        return read

    def failures() -> Iterator[Sample]:
        for breaker in breakers:
            for cause, count in breaker.causes.items():
                yield (breaker.kind, breaker.name, cause), count

    metrics.family(
        GaugeMetricFamily,
        "provider_up",
        "1 while a provider is used, 0.5 while it is tried again, 0 while it is left alone",
        labels,
        each(lambda it: UP[it.state]),
    )
    metrics.family(
        GaugeMetricFamily,
        "provider_latency_seconds",
        "Median time to a provider's first output",
        labels,
        each(Breaker.latency_s),
    )
    metrics.family(
        CounterMetricFamily,
        "provider_successes",
        "Pieces of work a provider did",
        labels,
        each(lambda it: it.successes),
    )
    metrics.family(
        CounterMetricFamily,
        "provider_failures",
        "Times a provider was given up",
        (*labels, "cause"),
        failures,
    )


def measure_cache(metrics: Metrics, name: str, what: str, stats: Callable[[], CacheStats]) -> None:
    """How well what is kept is used."""

    def hit_rate() -> float:
        now = stats()
        return now.hits / max(1, now.hits + now.misses)

    metrics.total(f"{name}_hits", f"{what}: found ready", lambda: stats().hits)
    metrics.total(f"{name}_misses", f"{what}: not found", lambda: stats().misses)
    metrics.gauge(f"{name}_hit_rate", f"{what}: found, of those asked for since start", hit_rate)
    metrics.gauge(f"{name}_entries", f"{what}: kept", lambda: stats().entries)
    metrics.gauge(f"{name}_bytes", f"{what}: bytes kept", lambda: stats().size_bytes)


def _pacing(metrics: Metrics, pacing: Pacing) -> None:
    """Who waits for a vendor's limit, by the vendor; accounts of one vendor are added up."""

    def of(number: Callable[[Pace], float]) -> Callable[[], Iterator[Sample]]:
        def read() -> Iterator[Sample]:
            sums: dict[str, float] = {}
            for pace in pacing:
                sums[pace.name] = sums.get(pace.name, 0.0) + number(pace)
            for name, value in sums.items():
                yield (name,), value

        return read

    def gauges(name: str, help: str, number: Callable[[Pace], float]) -> None:
        metrics.family(GaugeMetricFamily, f"pacing_{name}", help, ("provider",), of(number))

    def totals(name: str, help: str, number: Callable[[Pace], float]) -> None:
        metrics.family(CounterMetricFamily, f"pacing_{name}", help, ("provider",), of(number))

    gauges("running", "Requests under way", lambda it: it.running)
    gauges("waiting", "Requests waiting for a place", lambda it: it.waiting)
    totals("paced", "Requests that had to wait", lambda it: it.paced)
    totals("waited_seconds", "Their waits", lambda it: it.waited_s)
    totals("turned_away", "Without a place", lambda it: it.turned_away)


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
