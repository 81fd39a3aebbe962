"""What voice work that is no call counts, registered with the metrics; the rest: `measures.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from telebot.measures import measure_cache
from telebot.records.keys import Tier
from telebot.voice.service import Voice
from telebot.web.metrics import Metrics

Sample = tuple[Sequence[str], float]


def measure_voice(metrics: Metrics, voice: Voice) -> None:
    """What voice work that is no call counts."""
    if voice.sounds is not None:
        measure_cache(metrics, "kept_sounds", "Sounds of `/v1/voice`", voice.sounds.stats)
    counts = voice.filters.counts
    metrics.family(
        CounterMetricFamily,
        "content_filter_texts",
        "Texts that content filters judged, by what came of it",
        ("outcome",),
        lambda: [((outcome,), count) for outcome, count in counts.items()],
    )
    _line(metrics, voice)


def _line(metrics: Metrics, voice: Voice) -> None:
    """Who works, who waits, for how long, and who was turned away."""
    every, large = voice.line.all, voice.line.large

    def waiting() -> Iterator[Sample]:
        for tier in Tier:
            yield (tier.value,), float(voice.line.waiting(tier))

    about = "Requests that wait for a place, by their keys' tier"
    metrics.family(GaugeMetricFamily, "voice_waiting", about, ("tier",), waiting)
    metrics.gauge("voice_running", "Requests under way", lambda: every.running)
    metrics.gauge("voice_running_large", "Of them, large recordings", lambda: large.running)
    metrics.total("voice_queued", "Requests that had to wait", lambda: every.paced + large.paced)
    metrics.total("voice_queued_seconds", "Their waits", lambda: every.waited_s + large.waited_s)
    metrics.total(
        "voice_turned_away", "Without a place", lambda: every.turned_away + large.turned_away
    )
    metrics.gauge("voice_decoded_bytes", "Decoded sound", lambda: voice.decoded.held)
    metrics.gauge(
        "voice_media_waiting", "Sound being decoded or encoded, or waiting for it",
        lambda: voice.threads.waiting,
    )  # fmt: skip
