"""Metrics for Prometheus: what was called, how it went and how long it took; who is there, and what waits.

What happens is counted when it happens; what is, is looked at when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from netserve.messages import Request, Response

METRICS = "metrics"
"""What doors say as their authentication at which there are metrics, for everybody whom they let in."""
PATH = "/metrics"
METHODS = "GET, HEAD"

CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
JOURNAL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each number

Numbers = Callable[[], Mapping[str, float]]
"""Looks at something: numbers by what they are of."""


class Metrics(Collector):
    """All metrics of a server. Only of the event loop."""

    def __init__(self, described: Callable[[str], tuple[str, str]]) -> None:
        """``described`` returns the declared name and the kind of the message that a call asks for."""
        self._described = described
        self._gauges: list[tuple[str, str, str, Numbers]] = []
        self._counters: list[tuple[str, str, Callable[[], float]]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._calls = Counter(
            "xenapi_calls", "Calls that were answered.", ("message", "result"), registry=self._registry
        )
        self._errors = Counter(
            "xenapi_errors", "Calls that failed, and bodies that were no calls.", ("code",), registry=self._registry
        )
        self._seconds = Histogram(
            "xenapi_call_seconds",
            "Time from a call that was read to an answer that is ready, by the kind of the message.",
            ("kind",),
            buckets=CALL_SECONDS,
            registry=self._registry,
        )
        self._journal = Histogram(
            "xenapi_journal_write_seconds",
            "Time until changes were durable, for each write of the journal.",
            buckets=JOURNAL_SECONDS,
            registry=self._registry,
        )
        self._known: dict[str, tuple[Counter, Histogram]] = {}
        """By method and result: what there is to count with; looking it up in the library takes longer."""
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def answered(self, method: str, code: str, seconds: float) -> None:
        """Count a call: the method as it was asked for, the code of its error (empty if none), how long it took."""
        result = "failure" if code else "success"
        known = self._known.get(f"{method} {result}")
        if known is None:
            message, kind = self._described(method)
            known = self._calls.labels(message, result), self._seconds.labels(kind)
            if kind:  # there is no end of methods that do not exist
                self._known[f"{method} {result}"] = known
        calls, histogram = known
        calls.inc()
        histogram.observe(seconds)
        if code:
            self._errors.labels(code).inc()

    def malformed(self) -> None:
        """Count a body, or a part of one, that was no call."""
        self._errors.labels("malformed").inc()

    def written(self, seconds: float) -> None:
        """Count a write of the journal."""
        self._journal.observe(seconds)

    def gauge(self, name: str, text: str, label: str, look: Numbers) -> None:
        """Show numbers that go up and down."""
        self._gauges.append((name, text, label, look))

    def counter(self, name: str, text: str, look: Callable[[], float]) -> None:
        """Show a number that only grows."""
        self._counters.append((name, text, look))

    def collect(self) -> Iterator[Metric]:
        """Yield what is looked at."""
        for name, text, look_once in self._counters:
            yield CounterMetricFamily(name, text, look_once())
        for name, text, label, look in self._gauges:
            family = GaugeMetricFamily(name, text, labels=(label,))
            for value, number in look().items():
                family.add_metric((value,), number)
            yield family

    async def __call__(self, request: Request) -> Response:
        """Answer a request at a door for metrics."""
        if request.method not in METHODS:
            return Response(405, (("Allow", METHODS),))
        if request.target.partition("?")[0] != PATH:
            return Response(404)
        encode, content_type = choose_encoder(request.headers.get("accept") or "")
        return Response(200, (("Content-Type", content_type),), encode(self._registry))


def file_sizes(path: Path) -> Mapping[str, float]:
    """Return the bytes of a journal's files, by what each is."""
    files = {"database": path, "log": path.with_name(f"{path.name}-wal")}
    return {name: file.stat().st_size for name, file in files.items() if file.exists()}
