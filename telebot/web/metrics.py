"""What Prometheus reads at `/metrics`, in a registry of its own.

Counters are moved by the edge and by `MeteredLog`, through which every call's record passes;
gauges and totals ask their owners when read (`measures.py`).
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from telebot.call.admission import Admission
from telebot.call.model import Call, Note, State, Termination, Turn, Usage, WireEvent
from telebot.call.ports import CallLog

# the promise is a median of 0.7 s; beyond that callers notice
LATENCY_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.offered = self._counter("calls_offered", "Calls offered to us", "carrier")
        self.ended = self._counter("calls_ended", "Calls over", "carrier", "result", "reason")
        self.webhooks = self._counter("webhooks", "Webhooks answered", "carrier", "kind", "status")
        self.junk = self._counter("media_junk", "Meaningless media messages", "carrier", "kind")
        self.frames = self._counter("media_frames", "Caller audio frames of ended streams")
        self.sockets = self._counter("media_sockets", "Media sockets ended", "carrier", "code")
        self.hangups = self._counter("hangups", "Calls ended at the carrier by us", "outcome")
        self.turns = self._counter("turns", "Replies of the bot", "agent", "interrupted")
        self.latency = Histogram(
            "telebot_response_latency_seconds",
            "Caller's last speech to the bot's first audio as heard, and its parts",
            ("agent", "part"),
            buckets=LATENCY_S,
            registry=self.registry,
        )

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A gauge that asks `read` each time it is read, e.g. ``stt_queue``."""
        Gauge(f"telebot_{name}", help, registry=self.registry).set_function(read)

    def total(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A counter that somebody else keeps; `read` never goes down."""

        def collect() -> CounterMetricFamily:
            return CounterMetricFamily(f"telebot_{name}", help, value=read())

        self.registry.register(_Read(collect))

    def summary(
        self, name: str, help: str, count: Callable[[], float], total: Callable[[], float]
    ) -> None:
        """How often something happened and how much of it there was, kept by somebody else."""

        def collect() -> SummaryMetricFamily:
            family = SummaryMetricFamily(f"telebot_{name}", help)
            family.add_metric([], count_value=int(count()), sum_value=total())
            return family

        self.registry.register(_Read(collect))

    def family(
        self,
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        help: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[Sequence[str], float]]],
    ) -> None:
        """A family with labels that somebody else keeps: `read` gives label values and value."""

        def collect() -> Metric:
            family = kind(f"telebot_{name}", help, labels=labels)
            for values, value in read():
                family.add_metric(values, value)
            return family

        self.registry.register(_Read(collect))

    def watch(self, admission: Admission) -> None:
        """Show the live calls by state, and the limit."""
        self.registry.register(_LiveCalls(admission))
        self.gauge("calls_max", "Calls admitted at once", lambda: admission.max_calls)
        self.gauge("draining", "1 while no more calls are taken", lambda: admission.draining)

    def metered(self, log: CallLog) -> CallLog:
        """`log`, counted."""
        return MeteredLog(log, self)

    async def answer(self, _: web.Request) -> web.Response:
        """`GET /metrics` in Prometheus' text format."""
        text = generate_latest(self.registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"telebot_{name}", help, labels, registry=self.registry)


class _Read(Collector):
    """One family, made when read."""

    def __init__(self, read: Callable[[], Metric]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield self._read()


class _LiveCalls(Collector):
    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("telebot_calls", "Live calls", labels=["state"])
        tally = Tally(call.state for call in self._admission.live.values())
        for state in State:
            family.add_metric([state.value], tally[state])
        yield family


class MeteredLog:
    """A `CallLog` that counts what passes through to another."""

    def __init__(self, log: CallLog, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self.dialled = log.dialled
        self.answered = log.answered
        self.state = log.state

    def opened(self, call: Call) -> None:
        """Count the offer."""
        self._metrics.offered.labels(call.offer.carrier).inc()
        self._log.opened(call)

    def turn(self, call: Call, turn: Turn) -> None:
        """Count the reply and how long the caller waited for it."""
        self._metrics.turns.labels(call.agent, "yes" if turn.interrupted else "no").inc()
        for part, milliseconds in asdict(turn.latency_ms).items():
            if milliseconds is not None:
                self._metrics.latency.labels(call.agent, part).observe(milliseconds / 1000)
        self._log.turn(call, turn)

    def used(self, call: Call, usage: Usage) -> None:
        """Pass on."""
        self._log.used(call, usage)

    def note(self, call: Call, note: Note) -> None:
        """Pass on."""
        self._log.note(call, note)

    def event(self, call: Call, event: WireEvent) -> None:
        """Pass on."""
        self._log.event(call, event)

    def closed(self, call: Call, termination: Termination) -> None:
        """Count the ending."""
        labels = (call.offer.carrier, termination.result.value, termination.reason)
        self._metrics.ended.labels(*labels).inc()
        self._log.closed(call, termination)
