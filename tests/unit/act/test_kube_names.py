"""Resources as metrics call them, and errors as callers tell them apart."""

from __future__ import annotations

import json

import pytest
from kubernetes.aio.client import ApiException

from ballast.act import paths
from ballast.kube import ApiRefused, ApiUnavailable, _resource, _typed


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        (paths.TRAINING_JOBS, "trainingjobs"),
        (paths.training_job("team", "train"), "trainingjobs"),
        (paths.training_job_status("team", "train"), "trainingjobs/status"),
        (paths.JOBS, "jobs"),
        (paths.job("team", "train-1"), "jobs"),
        (paths.service("team", "train-1"), "services"),
        (paths.PODS, "pods"),
        (paths.pod("team", "train-1-0"), "pods"),
        (paths.NODES, "nodes"),
        (paths.events("team"), "events"),
    ],
)
def test_resources_are_named_without_namespace_and_name(path: str, resource: str) -> None:
    assert _resource(path) == resource


def exception(status: int | None, body: object = None) -> ApiException:
    error = ApiException(status=status, reason="Because")
    error.body = json.dumps(body) if body is not None else "<html>"
    return error


@pytest.mark.parametrize("status", [429, 500, 503, 504, None])
def test_trying_again_may_help(status: int | None) -> None:
    assert isinstance(_typed(exception(status)), ApiUnavailable)


@pytest.mark.parametrize(("status", "final"), [(400, True), (403, False), (404, False), (409, False), (422, True)])
def test_the_server_refused(status: int, final: bool) -> None:
    error = _typed(exception(status, {"reason": "Invalid", "message": "image is required"}))
    assert isinstance(error, ApiRefused)
    assert (error.status, error.reason, error.is_final) == (status, "Invalid", final)
    assert str(error) == f"{status} Invalid: image is required"


def test_an_answer_that_is_no_status_is_told_by_its_reason() -> None:
    assert str(_typed(exception(403))) == "403 Because: Because"
