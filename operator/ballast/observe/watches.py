"""The watches: kopf's `on.event` handlers, which patch nothing, feed the state.

No indexes (their start-up grows quadratically), no daemons, no last-handled annotations: kopf watches and
reconnects, nothing else. A missed deletion is found by `resync`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import kopf

from ballast.api import energyprofile, nodepower, trainingjob
from ballast.api.base import GROUP, VERSION
from ballast.api.labels import JOB_UID_LABEL
from ballast.observe.cluster_state import ClusterState, Kind

RESOURCES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.TRAINING_JOB: (GROUP, VERSION, trainingjob.PLURAL),
    Kind.NODE: ("", "v1", "nodes"),
    Kind.PRIORITY_CLASS: ("scheduling.k8s.io", "v1", "priorityclasses"),
    Kind.NODE_POWER: (GROUP, VERSION, nodepower.PLURAL),
    Kind.ENERGY_PROFILE: (GROUP, VERSION, energyprofile.PLURAL),
    Kind.POD: ("", "v1", "pods"),
    Kind.JOB: ("batch", "v1", "jobs"),
}
"""Group, version and plural of each kind."""
LABELS: Mapping[Kind, Mapping[str, Any]] = {Kind.JOB: {JOB_UID_LABEL: kopf.PRESENT}}
"""Labels without which an object of a kind is nobody's business here."""


def registry(
    state: ClusterState, on_begin: Callable[[], None] = lambda: None, kinds: Collection[Kind] = frozenset(Kind)
) -> kopf.OperatorRegistry:
    """Return kopf's handlers: one per watched kind.

    Args:
        state: what they feed.
        on_begin: called, once or often, when a watch begins, or begins anew because it had been broken.
        kinds: what is watched.
    """
    handlers = kopf.OperatorRegistry()
    for kind in sorted(kinds):
        resource = RESOURCES[kind]
        kopf.on.event(*resource, labels=LABELS.get(kind), registry=handlers, id=resource[-1])(
            _feed(state, on_begin, kind)
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
