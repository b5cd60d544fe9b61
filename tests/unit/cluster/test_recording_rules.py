"""The embedded cluster's Prometheus evaluates the chart's recording rules."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cluster.prometheus import RULES, prometheus_config
from tests.unit.cluster.builders import a_state


def test_the_charts_rules_are_there_and_a_cluster_reads_the_copy_that_it_is_given() -> None:
    assert RULES.is_file()
    copy = Path("/state/ballast.rules.yaml")
    text = prometheus_config(a_state().ports, pki=Path("/pki"), kubeconfig=Path("/kubeconfig"), rule_files=[copy])
    assert yaml.safe_load(text)["rule_files"] == [str(copy)]
