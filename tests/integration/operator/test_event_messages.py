"""What events say about one object for one reason, the newest first."""

from __future__ import annotations

from ballast import kube
from ballast.kube import KubeClient
from tests.e2e.namespace import Namespace

UID = "8f1c5f4e-0000-4000-8000-000000000001"


def _tell(namespace: Namespace, name: str, message: str, second: int, uid: str = UID, reason: str = "Late") -> None:
    time = f"2026-01-01T00:00:{second:02}Z"
    namespace.kube.create(
        namespace.events_path,
        {
            "metadata": {"name": name},
            "involvedObject": {"kind": "Job", "name": "j", "namespace": namespace.name, "uid": uid},
            "reason": reason,
            "message": message,
            "firstTimestamp": time,
            "lastTimestamp": time,
        },
    )


async def test_the_newest_few_of_the_reason_and_the_object(client: KubeClient, namespace: Namespace) -> None:
    for second in (3, 1, 5, 2, 4):
        _tell(namespace, f"e{second}", f"at {second}", second)
    _tell(namespace, "other-reason", "no", 9, reason="Early")
    _tell(namespace, "other-object", "no", 9, uid="8f1c5f4e-0000-4000-8000-000000000002")
    assert await client.list_events(namespace.name, UID, "Late") == ["at 5", "at 4", "at 3"][: kube.MAX_EVENTS]


async def test_none(client: KubeClient, namespace: Namespace) -> None:
    assert await client.list_events(namespace.name, UID, "Late") == []
