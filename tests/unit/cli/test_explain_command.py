"""`ballast explain`: which job it reads, as whom, and what it says where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.__main__ import main
from ballast.api.conditions import Reason
from ballast.cli import explain
from tests.builders import job
from tests.cluster.paths import CHECKOUT
from tests.unit.cli.api_server import ApiServer, kubeconfig, serving

Output = pytest.CaptureFixture[str]
PATH = "/apis/ballast.dev/v1alpha1/namespaces/{}/trainingjobs/{}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with serving() as server:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, server.url)))
        waiting = job("train").with_gpus(8).told(Reason.WAITING_FOR_CAPACITY)
        server.has(PATH.format("team", "train"), waiting.manifest())
        yield server


@pytest.mark.parametrize("name", ["train", "job/train", "tj/train", "trainingjob/train", "trainingjobs/train"])
def test_a_job_may_be_named_as_kubectl_names_it(server: ApiServer, capsys: Output, name: str) -> None:
    assert main(["explain", name]) == 0
    assert capsys.readouterr().out.startswith("team/train: Queued since 2027-01-15 08:00:00 UTC")
    assert server.asked == [PATH.format("team", "train")]


def test_it_looks_in_the_namespace_that_is_named(server: ApiServer, capsys: Output) -> None:
    assert main(["explain", "job/train", "-n", "other"]) == 1
    assert server.asked == [PATH.format("other", "train")], "and in no other, whoever has one of that name"
    assert capsys.readouterr().err == (
        "ballast: there is no TrainingJob train in namespace other; name another namespace with -n\n"
    )


def test_a_context_without_a_namespace_means_default(server: ApiServer) -> None:
    assert main(["explain", "job/train", "--context", "plain"]) == 1
    assert server.asked == [PATH.format("default", "train")]


def test_a_kubeconfig_may_be_named(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path, server.url)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert main(["explain", "job/train", "--kubeconfig", str(file)]) == 0


def test_as_json(server: ApiServer, capsys: Output) -> None:
    assert main(["explain", "job/train", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["namespace"], told["name"], told["phase"]) == ("team", "train", "Queued")
    assert told["conditions"][0]["reason"] == "WaitingForCapacity"


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, "404 page not found\n", "this cluster has no TrainingJobs: install Ballast"),
        (403, '{"reason": "Forbidden", "message": "no"}', "namespace team may not be read: ask for the right"),
        (401, '{"reason": "Unauthorized", "message": "no"}', "renew the kubeconfig's credentials"),
        (500, '{"message": "etcd is away"}', "etcd is away"),
        (200, "{}", "is invalid: metadata: Field required"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    server: ApiServer, capsys: Output, status: int, body: str, says: str
) -> None:
    server.answers[PATH.format("team", "train")] = (status, body)
    assert main(["explain", "job/train"]) == 1
    told = capsys.readouterr()
    assert says in told.err
    assert told.out == ""
    assert "Traceback" not in told.err


@pytest.mark.parametrize("name", ["node/train", "job/", "a/job/train", "../secrets", "Train", "job/a b"])
def test_what_is_no_name_is_refused_before_anybody_is_asked(server: ApiServer, capsys: Output, name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", name])
    assert ended.value.code == 2
    assert "as in job/NAME" in capsys.readouterr().err
    assert server.asked == []


def test_a_namespace_is_checked_likewise(server: ApiServer) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "job/train", "-n", "a/b"])
    assert ended.value.code == 2


def test_a_context_that_is_not_there(server: ApiServer, capsys: Output) -> None:
    assert main(["explain", "job/train", "--context", "none"]) == 2
    assert "none" in capsys.readouterr().err


def test_a_kubeconfig_that_is_not_there(tmp_path: Path, capsys: Output) -> None:
    assert main(["explain", "job/train", "--kubeconfig", str(tmp_path / "absent")]) == 2
    told = capsys.readouterr().err
    assert f"--kubeconfig {tmp_path / 'absent'} cannot be used" in told
    assert "Traceback" not in told


def test_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert main(["explain", "job/train"]) == 2
    assert "set KUBECONFIG" in capsys.readouterr().err


def test_an_installation_that_lacks_something_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(explain, "NEEDS", ("aiohttp", "no_such_module"))
    assert main(["explain", "job/train"]) == 2
    assert capsys.readouterr().err == "ballast: explain needs no_such_module: pip install 'ballast[operator]'\n"


def test_options_are_read_without_what_it_needs() -> None:
    program = (
        "import argparse, sys\nfrom ballast.cli import explain\n"
        "parser = argparse.ArgumentParser()\nexplain.add_parser(parser.add_subparsers())\n"
        "parser.parse_args(['explain', 'job/train'])\nprint(sorted(set(sys.modules) & {*explain.NEEDS, 'asyncio'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "operator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
