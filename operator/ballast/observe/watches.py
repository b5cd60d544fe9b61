"""The watches: kopf's `on.event` handlers, which patch nothing, feed the state.

No indexes (their start-up grows quadratically), no daemons, no last-handled annotations: kopf watches and
reconnects, nothing else. A missed deletion is found by `resync`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from ballast.api import nodepower
from ballast.api.base import GROUP, VERSION
from ballast.api.labels import JOB_UID_LABEL
from ballast.api.trainingjob import PLURAL
from ballast.observe.cluster_state import ClusterState, Kind


def registry(state: ClusterState, on_begin: Callable[[], None] = lambda: None) -> kopf.OperatorRegistry:
    """Return kopf's handlers: one per watched kind.

    Args:
        state: what they feed.
        on_begin: called, once or often, when a watch begins, or begins anew because it had been broken.
    """
    handlers = kopf.OperatorRegistry()
    kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="trainingjobs")(
        _feed(state, on_begin, Kind.TRAINING_JOB)
    )
    kopf.on.event("", "v1", "nodes", registry=handlers, id="nodes")(_feed(state, on_begin, Kind.NODE))
    kopf.on.event("scheduling.k8s.io", "v1", "priorityclasses", registry=handlers, id="priorityclasses")(
        _feed(state, on_begin, Kind.PRIORITY_CLASS)
    )
    kopf.on.event(GROUP, VERSION, nodepower.PLURAL, registry=handlers, id="nodepowers")(
        _feed(state, on_begin, Kind.NODE_POWER)
    )
    kopf.on.event("", "v1", "pods", registry=handlers, id="pods")(_feed(state, on_begin, Kind.POD))
    kopf.on.event("batch", "v1", "jobs", labels={JOB_UID_LABEL: kopf.PRESENT}, registry=handlers, id="jobs")(
        _feed(state, on_begin, Kind.JOB)
    )
    kopf.on.login(registry=handlers, id="service-account")(kopf.login_with_service_account)
    kopf.on.login(registry=handlers, id="kubeconfig")(kopf.login_with_kubeconfig)
    return handlers


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: watch only, by pages, without looking for new resource types."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.watching.chunk_size = 500
    chosen.persistence.diffbase_storage = _NoEssence()
    return chosen


class _NoEssence(kopf.DiffBaseStorage):
    """kopf copies every object that it hears of, to tell change handlers what changed: there are none here."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def _feed(state: ClusterState, on_begin: Callable[[], None], kind: Kind) -> Callable[..., Awaitable[None]]:
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        obj = event["object"]
        if event["type"] is None:  # from the list with which a watch begins
            on_begin()
        if event["type"] == "DELETED":
            # The last version tells how the object ended before it went.
            state.observe(kind, obj)
            state.forget(kind, obj["metadata"]["uid"])
        else:
            state.observe(kind, obj)

    return handle
