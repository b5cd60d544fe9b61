"""The queries: extra labels in every selector, everything inside its quotes, each pod once, few names in one query."""

from __future__ import annotations

import re

import pytest

from ballast.api import exporter
from ballast.errors import UserError
from ballast.observe.prometheus.queries import MAX_NAMED_PODS, Queries, any_of, quoted

SELECTOR = re.compile(r"\{[^{}]*\}")


def of_a_cycle(queries: Queries) -> list[str]:
    return [
        queries.energy,
        queries.power,
        queries.times,
        queries.progress,
        queries.evaluations({"pod-1": {1}, "pod-2": {1, 2, 3}}),
        queries.last_readings(["pod-1"]),
    ]


def test_extra_labels_are_in_every_selector() -> None:
    for query in of_a_cycle(Queries({"cluster": "a", "tenant": "b"}, 120, 60)):
        selectors = SELECTOR.findall(query)
        assert selectors
        for selector in selectors:
            assert selector.endswith(',cluster="a",tenant="b"}')


def test_values_of_extra_labels_stay_inside_their_quotes() -> None:
    query = Queries({"cluster": 'a"} or vector(1) #\\\n'}, 120, 60).power
    assert r'cluster="a\"} or vector(1) #\\\n"}' in query


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="BALLAST_PROMETHEUS_LABELS has 'a-b', which is no label name"):
        Queries({"a-b": "c"}, 120, 60)


def test_uids_match_literally() -> None:
    pattern = any_of(["a.b", "c|d", 'e"f\\'])
    assert pattern == r'"a\\.b|c\\|d|e\"f\\\\"'
    assert any_of(["ab-12"]) == '"ab-12"'
    assert quoted("a\nb") == r'"a\nb"'


def test_windows_are_whole_seconds_and_never_nothing() -> None:
    queries = Queries({}, 120.4, 0.2)
    assert "[120s]" in queries.energy
    assert "[1s]" in queries.power


def test_each_pod_counts_once_before_any_sum() -> None:
    queries = Queries({}, 120, 60)
    assert re.fullmatch(r"sum by \([^)]*\) \(max by \([^)]*pod_uid[^)]*\) \(.*\)\)", queries.energy)
    assert re.fullmatch(r"sum by \([^)]*\) \(max by \([^)]*pod_uid[^)]*\) \(.*\)\)", queries.power)
    assert all("namespace" in query for query in of_a_cycle(queries))


def test_unknown_components_are_not_even_asked_for() -> None:
    assert 'component=~"gpu|cpu|dram"' in Queries({}, 120, 60).energy


def test_only_the_slots_that_are_wanted_are_asked_for() -> None:
    query = Queries({}, 120, 60).evaluations({"pod-1": {3}, "pod-2": {3, 4}, "pod-3": {0, 1, 2, 3}})
    assert 'slot="3",pod_uid=~"pod-1|pod-2"' in query
    assert 'slot="4",pod_uid=~"pod-2"' in query
    assert '",pod_uid=~"pod-3"' in query
    assert "last_over_time" not in query


def test_very_many_pods_are_not_named() -> None:
    query = Queries({}, 120, 60).evaluations({f"pod-{number}": {1} for number in range(MAX_NAMED_PODS + 1)})
    assert "pod-" not in query
    assert exporter.EVALUATION_STEP in query
