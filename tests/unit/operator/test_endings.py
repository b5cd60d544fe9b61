"""However the operator ends, its exit code and one record of its log say why."""

from __future__ import annotations

import json

import pytest

from ballast import operator
from ballast.__main__ import main
from ballast.errors import NotLeading, UserError


def ends_with(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    async def run(_: object) -> None:
        raise ExceptionGroup("tasks", [ExceptionGroup("more tasks", list(errors))])

    monkeypatch.setattr(operator, "run", run)


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_lost_lease_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(monkeypatch, NotLeading("b has taken the lease"), NotLeading("this process does not lead"))
    assert main(["operator"]) == 1
    [record] = records(capsys)
    assert record["level"] == "ERROR"
    assert record["error"] == "b has taken the lease"
    assert "exc_info" not in record


def test_a_bug_is_one_record_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(monkeypatch, ZeroDivisionError("a bug"))
    assert main(["operator"]) == 1
    [record] = records(capsys)
    assert record["level"] == "CRITICAL"
    assert "ZeroDivisionError: a bug" in record["exc_info"]


def test_what_a_person_must_change_is_told_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(monkeypatch, UserError("set KUBECONFIG"))
    assert main(["operator"]) == 2
    assert capsys.readouterr().err == "ballast: set KUBECONFIG\n"
