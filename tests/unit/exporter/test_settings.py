"""Every setting can be left out; one that makes no sense is told with its variable, its value and what would do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ballast.api import agentserving, exporter
from ballast.api.earlystopping import Goal
from ballast.exporter.settings import GOALS, BadSetting, ExporterSettings, described

AGENT = {agentserving.HOST_VARIABLE: "10.0.0.7", agentserving.NODE_VARIABLE: "node-a"}


def test_without_any_variable_everything_has_its_default() -> None:
    settings = ExporterSettings.from_environ({})
    assert settings == ExporterSettings()
    assert settings.agent_host == ""
    assert (settings.metrics_port, settings.progress_port) == (exporter.METRICS_PORT, exporter.PROGRESS_PORT)
    assert settings.state_path == Path(exporter.STATE_PATH)


def test_variables_are_read_and_blanks_are_no_values() -> None:
    given = {
        **AGENT,
        agentserving.PORT_VARIABLE: "9555",
        exporter.JOB_NAME_VARIABLE: " sweep ",
        exporter.ATTEMPT_VARIABLE: "3",
        exporter.METRIC_VARIABLE: "  ",
        exporter.GOAL_VARIABLE: "Maximize",
        exporter.POLL_SECONDS_VARIABLE: "0.5",
        exporter.TRAINER_MILLICORES_VARIABLE: "1500",
        "BALLAST_STATE_PATH": "/tmp/x",  # noqa: S108 - a name
    }
    settings = ExporterSettings.from_environ(given)
    assert (settings.agent_host, settings.agent_port, settings.node) == ("10.0.0.7", 9555, "node-a")
    assert (settings.job_name, settings.attempt, settings.metric, settings.goal) == ("sweep", 3, "", "Maximize")
    assert (settings.poll_seconds, settings.trainer_millicores) == (0.5, 1500.0)
    assert settings.state_path == Path("/tmp/x")  # noqa: S108 - a name


@pytest.mark.parametrize("host", ["fd00::7", "[fd00::7]"])
def test_the_node_may_have_an_ipv6_address(host: str) -> None:
    assert ExporterSettings.from_environ({**AGENT, agentserving.HOST_VARIABLE: host}).agent_host == "fd00::7"


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        (exporter.POLL_SECONDS_VARIABLE, "often", "is no number from 0.2 to 60"),
        (exporter.POLL_SECONDS_VARIABLE, "nan", "is no number from 0.2 to 60"),
        (exporter.POLL_SECONDS_VARIABLE, "0.1", "is no number from 0.2 to 60"),
        (exporter.METRICS_PORT_VARIABLE, "65536", "is no whole number from 0 to 65535"),
        (exporter.PROGRESS_PORT_VARIABLE, "-1", "is no whole number from 0 to 65535"),
        (agentserving.PORT_VARIABLE, "0", "is no whole number from 1 to 65535"),
        (exporter.ATTEMPT_VARIABLE, "1.5", "is no whole number"),
        (exporter.GOAL_VARIABLE, "Up", "is none of Minimize, Maximize"),
        ("BALLAST_LOG_LEVEL", "LOUD", "is none of DEBUG, INFO"),
        (agentserving.HOST_VARIABLE, "node-a.example", "set it to the node's, status.hostIP"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_value_and_a_remedy(variable: str, value: str, remedy: str) -> None:
    with pytest.raises(BadSetting) as told:
        ExporterSettings.from_environ({**AGENT, variable: value})
    assert str(told.value).startswith(f"{variable}: {value!r} ")
    assert remedy in str(told.value)


def test_an_agent_needs_the_name_of_its_node() -> None:
    with pytest.raises(BadSetting, match=r"BALLAST_NODE_NAME is not set, .*'10\.0\.0\.7'.*spec\.nodeName"):
        ExporterSettings.from_environ({agentserving.HOST_VARIABLE: "10.0.0.7"})


def test_two_ports_must_be_two() -> None:
    with pytest.raises(BadSetting, match="are both 9000: change one"):
        ExporterSettings.from_environ({exporter.METRICS_PORT_VARIABLE: "9000", exporter.PROGRESS_PORT_VARIABLE: "9000"})


def test_each_setting_is_described_under_a_variable_of_its_own() -> None:
    rows = list(described())
    assert len({variable for variable, _, _ in rows}) == len(rows) == len(ExporterSettings.__slots__)
    assert all(re.fullmatch(r"BALLAST_[A-Z_]+", variable) and meaning.endswith(".") for variable, _, meaning in rows)


def test_goals_are_those_of_the_api() -> None:
    assert set(GOALS) == {goal.value for goal in Goal}
