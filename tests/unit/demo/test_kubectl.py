"""The demo's way to the cluster, against a stand-in for kubectl."""

from __future__ import annotations

import pytest

from tests.demo.errors import DemoError
from tests.demo.kubectl import Kubectl


def _stand_in(script: str) -> Kubectl:
    return Kubectl(["sh", "-c", script, "kubectl"])


def test_a_command_returns_what_it_printed() -> None:
    assert _stand_in('echo "$1 $2"').run("get", "nodes") == "get nodes\n"


def test_a_failure_carries_kubectls_own_words() -> None:
    with pytest.raises(DemoError, match=r"`kubectl get nodes` failed: no such thing"):
        _stand_in("echo no such thing >&2; exit 1").run("get", "nodes")


def test_a_missing_program() -> None:
    with pytest.raises(DemoError, match="cannot run /no/such/kubectl"):
        Kubectl(["/no/such/kubectl"]).run("version")


def test_a_command_that_does_not_end() -> None:
    with pytest.raises(DemoError, match="did not end within 0 s"):
        _stand_in("exec sleep 60").run("wait", timeout_seconds=0.05)


def test_a_watch_tells_events_in_order() -> None:
    script = """echo '{"type": "ADDED"}'; echo '{"type": "MODIFIED"}'; exec sleep 60"""
    with _stand_in(script).watch("trainingjobs") as events:
        assert [events.get(timeout=30)["type"] for _ in range(2)] == ["ADDED", "MODIFIED"]


def test_a_watch_that_ends_is_begun_anew() -> None:
    with _stand_in("""echo '{"type": "ADDED"}'""").watch("trainingjobs") as events:
        assert [events.get(timeout=30)["type"] for _ in range(2)] == ["ADDED", "ADDED"]


def test_half_an_event_at_the_end_of_a_watch_is_dropped() -> None:
    script = """echo '{"type": "ADDED"}'; printf '{"type": "MODI'"""
    with _stand_in(script).watch("trainingjobs") as events:
        assert [events.get(timeout=30)["type"] for _ in range(2)] == ["ADDED", "ADDED"]
