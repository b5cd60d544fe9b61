"""Settings come from the environment, are checked, and have defaults that keep the API server at ease."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ballast import settings
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
    ("name", "value"),
    [
        ("HTTP_PORT", "70000"),
        ("IDLE_SECONDS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("LEASE_SECONDS", "1"),
        ("LEASE_SECONDS", "15.5"),
        ("LEASE_NAME", "Ballast_Operator"),
        ("NAMESPACE", "no/namespace"),
        ("NODE_LOST_SECONDS", "-1"),
        ("WEBHOOK_PORT", "-1"),
        ("CERTIFICATE_DAYS", "0"),
        ("DEADLINE_HEAD_START_SECONDS", "-1"),
        ("SHARE_SECONDS", "-1"),
    ],
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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"RETRY_SECONDS": "60", "RETRY_MAX_SECONDS": "30"}, ("BALLAST_RETRY_MAX_SECONDS (30)", "raise the former")),
        ({"HTTP_PORT": "9000", "WEBHOOK_PORT": "9000"}, ("BALLAST_WEBHOOK_PORT", "both 9000", "change one")),
    ],
)
def test_settings_that_do_not_fit_together_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], values: dict[str, str], said: tuple[str, ...]
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"BALLAST_{name}", value)
    assert main(["operator"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ballast: BALLAST_")
    assert all(words in told for words in said)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ('{"team-a": 0}', "the weight of team-a is 0: give one above 0 and at most 1000, or leave team-a out"),
        ('{"team-a": -1}', "the weight of team-a is -1"),
        ('{"team-a": 1000.5}', "the weight of team-a is 1000.5"),
        ('{"team-a": NaN}', "the weight of team-a is nan"),
        ('{"Team_A": 2}', "'Team_A' is not the name of a namespace: write small letters"),
        ('{"team-a": "much"}', "valid number"),
    ],
)
def test_weights_that_make_no_sense_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: str, said: str
) -> None:
    monkeypatch.setenv("BALLAST_QUEUE_WEIGHTS", weights)
    assert main(["operator"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ballast: BALLAST_QUEUE_WEIGHTS: ")
    assert said in told


def test_weights_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_QUEUE_WEIGHTS", '{"team-a": 2, "team-b": 0.5}')
    assert OperatorSettings().queue_weights == {"team-a": 2, "team-b": 0.5}


def test_both_ports_may_be_any() -> None:
    assert OperatorSettings(http_port=0, webhook_port=0).webhook_port == 0


def test_the_namespace_is_the_pods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BALLAST_NAMESPACE", raising=False)
    monkeypatch.setattr(settings, "NAMESPACE_FILE", tmp_path / "namespace")
    assert OperatorSettings().namespace == "ballast-system"
    (tmp_path / "namespace").write_text("energy")
    assert OperatorSettings().namespace == "energy"
    monkeypatch.setenv("BALLAST_NAMESPACE", "elsewhere")
    assert OperatorSettings().namespace == "elsewhere"
