"""The operator that cannot start says what to change, without a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from ballast.__main__ import main


def test_without_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert main(["operator"]) == 2
    told = capsys.readouterr().err
    assert "set KUBECONFIG" in told
    assert "Traceback" not in told


def test_with_a_port_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(UNREACHABLE))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("BALLAST_HTTP_HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("BALLAST_HTTP_PORT", str(taken.getsockname()[1]))
        assert main(["operator"]) == 2
    assert "BALLAST_HTTP_PORT" in capsys.readouterr().err


UNREACHABLE = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}
