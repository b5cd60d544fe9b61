"""Reports over HTTP: taken as a whole and answered with 200, or refused with a problem that helps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from ballast.api.exporter import KUBEFLOW_PATH, PROGRESS_PATH
from ballast.errors import UserError
from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import MAX_BODY_BYTES, ProgressServer

from .trainers import ask

PROBLEM = "application/problem+json"


@pytest.fixture
def progress() -> Progress:
    return Progress("val_loss", "loss")


@pytest.fixture
def server(progress: Progress) -> Iterator[ProgressServer]:
    with ProgressServer(progress, port=0) as server:
        yield server


def test_a_report_is_taken(server: ProgressServer, progress: Progress) -> None:
    body = b'{"step": 12, "totalSteps": 100, "metrics": {"loss": 0.5, "val_loss": NaN}, "cpuSeconds": 2}'
    answer = ask(server, "POST", PROGRESS_PATH, body)
    training = progress.training()
    assert (answer.status, answer.json) == (200, {"metric": "val_loss"})
    assert training is not None
    assert (training.step, training.evaluations, progress.cpu_seconds) == (12, 1, 2)
    assert math.isnan(training.ring[0].value)


def test_several_reports_at_once(server: ProgressServer, progress: Progress) -> None:
    body = json.dumps([{"step": step, "metrics": {"val_loss": 1 / step}} for step in (1, 2, 3)]).encode()
    assert ask(server, "POST", PROGRESS_PATH, body).status == 200
    training = progress.training()
    assert training is not None
    assert [each.step for each in training.ring] == [1, 2, 3]


def test_the_same_key_counts_once(server: ProgressServer, progress: Progress) -> None:
    for key in ("a", "a", "b"):
        ask(server, "POST", PROGRESS_PATH, b'{"metrics": {"val_loss": 1}}', {"Idempotency-Key": key})
    training = progress.training()
    assert training is not None
    assert training.evaluations == 2


def test_kubeflows_protocol(server: ProgressServer, progress: Progress) -> None:
    metrics = [{"name": "val_loss", "value": "0.25"}, {"name": "a name", "value": "1"}]
    body = json.dumps({"trainerStatus": {"progressPercentage": 40, "metrics": metrics}}).encode()
    answers = [ask(server, "POST", KUBEFLOW_PATH, body, {"Authorization": "Bearer x"}) for _ in range(2)]
    training = progress.training()
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json["ignored"].keys() == {'"a name"'}
    assert training is not None
    assert (training.percent, training.metric, training.evaluations) == (40, 0.25, 1)


def test_who_asks_is_told_what_is_known(server: ProgressServer) -> None:
    assert ask(server, "GET", PROGRESS_PATH).json == {"reportedAt": None}
    ask(server, "POST", PROGRESS_PATH, b'{"step": 5, "totalSteps": 10, "metrics": {"lr": 1, "val_loss": "Infinity"}}')
    known = ask(server, "GET", f"{PROGRESS_PATH}?pretty").json
    assert known.pop("reportedAt") > 0
    assert known == {
        "step": 5,
        "totalSteps": 10,
        "percent": 50,
        "metrics": {"val_loss": "Infinity", "lr": 1},
        "evaluations": {"count": 1, "newest": [{"number": 1, "value": "Infinity", "step": 5}]},
    }


def test_a_refusal_names_field_value_and_remedy_and_nothing_is_taken(
    server: ProgressServer, progress: Progress
) -> None:
    answer = ask(server, "POST", PROGRESS_PATH, b'[{"step": 5}, {"step": -1}]')
    assert (answer.status, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert answer.json["detail"] == "step is -1: use a number of at least 0"
    assert (answer.json["field"], answer.json["value"], answer.json["status"]) == ("step", "-1", 400)
    assert progress.training() is None


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("path", "allow"), [(PROGRESS_PATH, "GET, HEAD, POST"), (KUBEFLOW_PATH, "POST")])
def test_other_methods(server: ProgressServer, method: str, path: str, allow: str) -> None:
    answer = ask(server, method, path, b"{}")
    assert (answer.status, answer.headers["Allow"], answer.headers["Content-Type"]) == (405, allow, PROBLEM)


def test_a_method_that_nobody_knows(server: ProgressServer) -> None:
    answer = ask(server, "BREW", PROGRESS_PATH)
    assert (answer.status, answer.headers["Content-Type"]) == (501, PROBLEM)


def test_head_has_no_body(server: ProgressServer) -> None:
    answer = ask(server, "HEAD", PROGRESS_PATH)
    assert (answer.status, answer.body) == (200, b"")


def test_other_paths_say_which_there_are(server: ProgressServer) -> None:
    answer = ask(server, "POST", "/progress", b'{"step": 1}')
    assert answer.status == 404
    assert PROGRESS_PATH in answer.json["detail"]


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 1, 16 * MAX_BODY_BYTES])
def test_a_body_that_is_too_large(server: ProgressServer, progress: Progress, length: int) -> None:
    answer = ask(server, "POST", PROGRESS_PATH, b'{"step": 1}'.ljust(length))
    assert (answer.status, answer.json["field"]) == (413, "Content-Length")
    assert progress.training() is None


def test_the_largest_body_that_is_taken(server: ProgressServer) -> None:
    assert ask(server, "POST", PROGRESS_PATH, b'{"step": 1}'.ljust(MAX_BODY_BYTES)).status == 200


@pytest.mark.parametrize("length", ["-5", "many", "9" * 30, "\u00b2"])
def test_a_length_that_is_none(server: ProgressServer, length: str) -> None:
    answer = ask(server, "POST", PROGRESS_PATH, None, {"Content-Length": length})
    assert (answer.status, answer.json["field"]) == (400, "Content-Length")


def test_chunks_are_not_taken(server: ProgressServer) -> None:
    answer = ask(server, "POST", PROGRESS_PATH, None, {"Transfer-Encoding": "chunked"})
    assert (answer.status, answer.json["field"]) == (411, "Content-Length")


def test_evaluations_are_saved_before_they_are_answered() -> None:
    progress = Progress("val_loss", "loss")
    saved: list[int] = []

    def save() -> None:
        training = progress.training()
        saved.append(training.evaluations if training else 0)

    with ProgressServer(progress, port=0, save=save) as server:
        ask(server, "POST", PROGRESS_PATH, b'{"metrics": {"val_loss": 1}}')
        assert saved == [1]
        ask(server, "POST", PROGRESS_PATH, b'{"step": 1, "metrics": {"loss": 1}}')
        assert saved == [1]
        ask(server, "POST", PROGRESS_PATH, b'[{"step": 1}, {"missed": {"val_loss": 2}}]')
        assert saved == [1, 3]


def test_the_port_is_taken(server: ProgressServer, progress: Progress) -> None:
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{server.port}: Address already in use"):
        ProgressServer(progress, server.port)
