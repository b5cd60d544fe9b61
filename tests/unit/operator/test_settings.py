"""Settings come from the environment, are checked, and have defaults that keep the API server at ease."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ballast.__main__ import main
from ballast.settings import OperatorSettings


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OperatorSettings.model_fields:
        monkeypatch.delenv(f"BALLAST_{name.upper()}", raising=False)
    settings = OperatorSettings()
    assert settings.requests_per_second == 50
    assert settings.http_port == 8080


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_RESYNC_SECONDS", "7.5")
    assert OperatorSettings().resync_seconds == 7.5


@pytest.mark.parametrize(
    ("name", "value"), [("HTTP_PORT", "70000"), ("IDLE_SECONDS", "0"), ("LOG_LEVEL", "LOUD"), ("LOG_FORMAT", "xml")]
)
def test_what_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"BALLAST_{name}", value)
    with pytest.raises(ValidationError):
        OperatorSettings()


def test_a_wrong_setting_ends_the_command_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BALLAST_HTTP_PORT", "many")
    assert main(["operator"]) == 2
    assert "BALLAST_HTTP_PORT" in capsys.readouterr().err


def test_every_setting_is_documented_with_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["operator", "--settings"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(OperatorSettings.model_fields)
    assert all(line.startswith("BALLAST_") and line.rstrip().endswith(".") for line in shown)
