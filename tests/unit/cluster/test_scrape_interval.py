"""How often Prometheus scrapes a pod."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cluster.prometheus import prometheus_config
from tests.unit.cluster.builders import a_state


def test_a_pod_may_ask_to_be_scraped_more_often() -> None:
    config = yaml.safe_load(prometheus_config(a_state().ports, pki=Path("/pki"), kubeconfig=Path("/kubeconfig")))
    pods = next(job for job in config["scrape_configs"] if job["job_name"] == "pods")
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_interval"
    rules = [rule for rule in pods["relabel_configs"] if rule["source_labels"] == [annotation]]
    # A timeout that is longer than the interval is refused.
    assert [rule["target_label"] for rule in rules] == ["__scrape_interval__", "__scrape_timeout__"]
    assert all(rule["regex"] == "(.+)" for rule in rules)
