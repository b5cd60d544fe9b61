"""The operator's own metrics: is it keeping up, and what does it ask of the API server?

Labels are bounded by construction (phases, verbs, resources, kinds of actions): never a job's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ballast.api.jobstatus import Phase

CYCLE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """One registry per operator, so that tests can run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.cycle_seconds = Histogram(
            "ballast_cycle_seconds",
            "Time of one control cycle: snapshot, decision, handing over of actions",
            buckets=CYCLE_BUCKETS,
            registry=self.registry,
        )
        self.ready_seconds = Gauge(
            "ballast_ready_seconds",
            "Time from the start of the process until it was ready: as leader its first cycle had ended, as standby "
            "its picture was complete",
            registry=self.registry,
        )
        self._leader = Gauge("ballast_leader", "1 if this process leads, else 0", registry=self.registry)
        self._transitions = Counter(
            "ballast_leader_transitions", "Leaders that this process has seen, itself included", registry=self.registry
        )
        self._renewals_failed = Counter(
            "ballast_lease_renewals_failed", "Renewals of the lease that failed", registry=self.registry
        )
        self._clock_offset = Gauge(
            "ballast_clock_offset_seconds",
            "How far the wall clock has been set ahead since the operator started; its deadlines do not follow",
            registry=self.registry,
        )
        self._agent_certificates = Counter(
            "ballast_agent_certificate_requests",
            "Requests of agents for their serving certificates, by how they were answered",
            ["result"],
            registry=self.registry,
        )
        self._reserved = Gauge(
            "ballast_gpu_reserved_watts",
            "The most that all GPUs with an agent may draw: of a limit that is being changed the larger of old and new",
            registry=self.registry,
        )
        self._actions = Counter("ballast_actions", "Actions carried out", ["action", "result"], registry=self.registry)
        self._requests = Counter(
            "ballast_api_requests",
            "Requests to the API server, watches excluded; code 0 is no answer",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._events_dropped = Counter(
            "ballast_events_dropped", "Events that could not be sent", registry=self.registry
        )
        self._reviews = Counter(
            "ballast_webhook_reviews",
            "TrainingJobs that the webhook reviewed; unknown is let through because something could not be found out",
            ["result"],
            registry=self.registry,
        )
        self._certificate_expiry = Gauge(
            "ballast_webhook_certificate_expiry_seconds",
            "When the webhook's serving certificate expires, in seconds since the epoch; 0 without a webhook",
            registry=self.registry,
        )
        self._polls = Counter(
            "ballast_telemetry_polls",
            "Times that Prometheus was asked for everything; failed if an answer was missing",
            ["result"],
            registry=self.registry,
        )
        self._invalid = Counter(
            "ballast_invalid_trainingjobs", "TrainingJobs that could not be read", registry=self.registry
        )

    def observe_jobs(self, jobs_by_phase: Callable[[], Mapping[Phase, int]]) -> None:
        """Publish the number of jobs per phase, asked when scraped."""
        self.registry.register(_JobsByPhase(jobs_by_phase))

    def observe_leadership(self, leading: Callable[[], bool]) -> None:
        """Publish whether this process leads, asked when scraped."""
        self._leader.set_function(lambda: float(leading()))

    def observe_clock(self, offset_seconds: Callable[[], float]) -> None:
        """Publish the offset of the wall clock, asked when scraped."""
        self._clock_offset.set_function(offset_seconds)

    def observe_reservation(self, watts: Callable[[], float]) -> None:
        """Publish what GPUs may draw at most, asked when scraped."""
        self._reserved.set_function(watts)

    def count_agent_certificate(self, result: str) -> None:
        """Count one answered request of an agent for its certificate."""
        self._agent_certificates.labels(result).inc()

    def count_leader(self) -> None:
        """Count one leader that followed another."""
        self._transitions.inc()

    def count_failed_renewal(self) -> None:
        """Count one renewal of the lease that failed."""
        self._renewals_failed.inc()

    def count_request(self, verb: str, resource: str, status: int) -> None:
        """Count one answered request."""
        self._requests.labels(verb.lower(), resource, str(status)).inc()

    def count_action(self, action: str, succeeded: bool) -> None:
        """Count one action's end."""
        self._actions.labels(action, "done" if succeeded else "failed").inc()

    def count_poll(self, succeeded: bool) -> None:
        """Count one time that Prometheus was asked."""
        self._polls.labels("done" if succeeded else "failed").inc()

    def count_dropped_event(self) -> None:
        """Count one event that was not sent."""
        self._events_dropped.inc()

    def count_review(self, result: str) -> None:
        """Count one answer of the webhook: allowed, refused or unknown."""
        self._reviews.labels(result).inc()

    def note_certificate(self, expires: float) -> None:
        """Publish when the webhook's certificate expires."""
        self._certificate_expiry.set(expires)

    def count_invalid(self) -> None:
        """Count one TrainingJob that could not be read."""
        self._invalid.inc()

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)


class _JobsByPhase(Collector):
    def __init__(self, jobs_by_phase: Callable[[], Mapping[Phase, int]]) -> None:
        self._jobs_by_phase = jobs_by_phase

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily("ballast_trainingjobs", "TrainingJobs by phase", labels=["phase"])
        for phase, count in self._jobs_by_phase().items():
            family.add_metric([phase.value], count)
        return [family]
