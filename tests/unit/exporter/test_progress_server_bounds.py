"""Nobody holds the server up: not who is slow, who is gone, nor many at once."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ballast.api.exporter import PROGRESS_PATH
from ballast.exporter import progress_server
from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import MAX_BODY_BYTES, ProgressServer
from ballast.exporter.serving import MOST_AT_ONCE

from .trainers import ask

BEGUN = f"POST {PROGRESS_PATH} HTTP/1.1\r\nContent-Length: 100\r\n\r\n".encode() + b'{"step": 1}'


def connect(server: ProgressServer, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(sent)
    return connection


def test_a_request_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_server, "REQUEST_SECONDS", 0.2)
    progress = Progress()
    with ProgressServer(progress, port=0) as server, connect(server, BEGUN) as slow:
        assert slow.recv(1000) == b""
    assert progress.training() is None


def test_slow_ones_hold_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_server, "REQUEST_SECONDS", 0.5)
    with ProgressServer(Progress(), port=0) as server:
        slow = [connect(server, b"POST") for _ in range(2 * MOST_AT_ONCE)]
        try:
            assert ask(server, "POST", PROGRESS_PATH, b'{"step": 1}').status == 200
        finally:
            for each in slow:
                each.close()


def test_half_a_body_is_not_taken() -> None:
    progress = Progress()
    with ProgressServer(progress, port=0) as server, connect(server, BEGUN) as gone:
        gone.shutdown(socket.SHUT_WR)
        assert b" 400 " in gone.makefile("rb").readline()
    assert progress.training() is None


def test_who_sends_too_much_is_let_finish_and_told() -> None:
    too_much = 16 * MAX_BODY_BYTES
    begin = f"POST {PROGRESS_PATH} HTTP/1.1\r\nContent-Length: {too_much}\r\n\r\n".encode()
    with ProgressServer(Progress(), port=0) as server, connect(server, begin) as long:
        for _ in range(16):
            time.sleep(0.01)  # a connection that was closed meanwhile fails
            long.sendall(bytes(MAX_BODY_BYTES))
        assert b" 413 " in long.makefile("rb").readline()


def test_who_is_gone_does_no_harm() -> None:
    with ProgressServer(Progress(), port=0) as server:
        for _ in range(20):
            connect(server, BEGUN).close()
        assert ask(server, "POST", PROGRESS_PATH, b'{"step": 1}').status == 200


def test_many_at_once_are_all_counted_and_threads_are_bounded() -> None:
    progress = Progress("val_loss")
    most = 0
    turns = threading.Lock()

    def save() -> None:
        nonlocal most
        names = [thread.name for thread in threading.enumerate()]
        with turns:
            most = max(most, sum("_answer" in name for name in names))

    with ProgressServer(progress, port=0, save=save) as server, ThreadPoolExecutor(20) as pool:
        body = b'{"metrics": {"val_loss": 1}}'
        answers = list(pool.map(lambda _: ask(server, "POST", PROGRESS_PATH, body).status, range(200)))
    training = progress.training()
    assert answers == [200] * 200
    assert training is not None
    assert training.evaluations == 200
    assert 1 <= most <= MOST_AT_ONCE


def test_a_defect_is_logged_and_the_next_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [OSError("gone"), RuntimeError("a defect")]

    def save() -> None:
        if failures:
            raise failures.pop()

    with ProgressServer(Progress("val_loss"), port=0, save=save) as server:
        with pytest.raises(ConnectionError):
            ask(server, "POST", PROGRESS_PATH, b'{"metrics": {"val_loss": 1}}')
        assert "could not be answered" in caplog.text
        with pytest.raises(ConnectionError):
            ask(server, "POST", PROGRESS_PATH, b'{"metrics": {"val_loss": 1}}')
        assert ask(server, "POST", PROGRESS_PATH, b'{"metrics": {"val_loss": 1}}').status == 200
