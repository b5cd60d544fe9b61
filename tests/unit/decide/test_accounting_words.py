"""Whose word counts: the agent's at once, the exporter's after a pause, Prometheus' last; the larger of several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobstatus import Phase
from ballast.api.source import Source
from ballast.decide.life.lifecycle import next_due
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, job, node, pod
from tests.unit.decide.ledger import LOST, SETTLE, ledger, released, settled, used, words
from tests.unit.decide.stepping import steps

ONE = job("one").ended(Phase.SUCCEEDED).with_job(complete=True)
POD = pod(0, of=ONE).on("a").succeeded().held()
AGENT = frozenset({"a"})
LOST_NODE = (node("a").not_ready(),)


def test_the_agents_word_is_enough_and_exact() -> None:
    heard = ONE.with_pods(POD.ended_at(0)).hearing(metered_nodes=AGENT, agents_words={POD.uid: used(40, at=-300)})
    entry = ledger(settled(heard))
    assert (entry.joules, entry.pods_without_last_reading) == (40, 0)


def test_the_exporters_word_waits_for_the_agents() -> None:
    said = ONE.with_pods(POD.ended_at(0, words(30))).hearing(metered_nodes=AGENT)
    assert settled(said, after=SETTLE - 1) is None
    assert next_due(said.build(), NOW + 1, Policy()) == NOW + SETTLE
    entry = ledger(settled(said, after=SETTLE))
    assert (entry.joules, entry.pods_without_last_reading) == (30, 0)


def test_but_not_where_there_is_no_agent() -> None:
    assert ledger(settled(ONE.with_pods(POD.ended_at(0, words(30))))).joules == 30


def test_the_larger_counts_of_one_counter() -> None:
    said = ONE.with_pods(POD.ended_at(0, words(30)))
    assert ledger(settled(said.hearing(agents_words={POD.uid: used(25)}))).joules == 30
    assert ledger(settled(said.hearing(agents_words={POD.uid: used(35)}))).joules == 35
    assert ledger(settled(said.hearing(known_readings={POD.uid: used(31)}))).joules == 31


def test_an_estimate_never_replaces_a_measurement() -> None:
    said = ONE.with_pods(POD.ended_at(0, words(300, source=Source.ESTIMATED)))
    entry = ledger(settled(said.hearing(agents_words={POD.uid: used(25, source=Source.INTEGRAL)})))
    assert (entry.joules, entry.estimated_joules) == (25, 0)
    entry = ledger(settled(said.hearing(agents_words={POD.uid: used(25, source=Source.ESTIMATED)})))
    assert (entry.joules, entry.estimated_joules) == (300, 300)


@pytest.mark.parametrize("message", [None, "done", '{"accuracy": 0.9}', '{"v": 1, "at": 1, "joules": {"gpu": "x"}}'])
def test_a_pod_without_a_word_is_waited_for_where_there_is_an_agent(message: str | None) -> None:
    silent = ONE.with_pods(POD.ended_at(0, message)).hearing(metered_nodes=AGENT)
    assert settled(silent, after=LOST - 1) is None
    assert next_due(silent.build(), NOW + SETTLE, Policy()) == NOW + LOST
    entry = ledger(settled(silent, after=LOST))
    assert (entry.joules, entry.pods, entry.pods_without_last_reading) == (0, 1, 1)


def test_and_then_the_last_that_prometheus_knows_counts() -> None:
    silent = ONE.with_pods(POD.ended_at(0)).hearing(metered_nodes=AGENT, known_readings={POD.uid: used(17)})
    assert settled(silent, after=LOST - 1) is None
    entry = ledger(settled(silent, after=LOST))
    assert (entry.joules, entry.pods_without_last_reading) == (17, 1)


def test_where_nobody_else_can_know_it_is_not_waited_for() -> None:
    """As on simulated nodes, on which nothing speaks."""
    entry = ledger(settled(ONE.with_pods(POD.ended_at(0))))
    assert (entry.joules, entry.pods_without_last_reading) == (0, 1)


def test_what_nobody_knows_is_not_told_as_nothing() -> None:
    status = settled(ONE.with_pods(POD.ended_at(0)))
    assert status is not None
    assert status.energy is not None
    assert (status.energy.joules, status.energy.used) == (None, None)


def test_where_prometheus_has_seen_its_attempt_it_is() -> None:
    silent = ONE.with_pods(POD.ended_at(0)).hearing(telemetry=Telemetry(1, NOW, 1))
    assert settled(silent, after=LOST - 1, policy=Policy(prometheus=True)) is None
    assert settled(silent, after=LOST, policy=Policy(prometheus=True)) is not None
    other = silent.hearing(telemetry=Telemetry(2, NOW, 1))
    assert settled(other, policy=Policy(prometheus=True)) is not None


def test_an_operator_that_was_down_listens_first() -> None:
    """The pod ended long ago; this operator has asked for ten seconds."""
    silent = ONE.with_pods(POD.ended_at(-5000)).hearing(metered_nodes=AGENT, unheard={POD.uid: NOW - 10})
    assert settled(silent, after=LOST - 11) is None
    assert next_due(silent.build(), NOW, Policy()) == NOW + LOST - 10
    assert settled(silent, after=LOST - 10) is not None


def test_words_of_an_earlier_life_of_the_exporter_are_not_its_last() -> None:
    crashed = ONE.with_pods(POD.ended_at(0).having_said(words(12, at=-600)))
    entry = ledger(settled(crashed))
    assert (entry.joules, entry.pods_without_last_reading) == (12, 1)
    assert settled(crashed.hearing(metered_nodes=AGENT), after=LOST - 1) is None


def test_words_that_a_killed_exporter_had_written_early_are_not_its_last() -> None:
    killed = ONE.with_pods(POD.ended_at(0).having_said(replace(used(12, at=-3), is_last=False).encode()))
    assert settled(killed.hearing(metered_nodes=AGENT), after=LOST - 1) is None
    entry = ledger(settled(killed.hearing(metered_nodes=AGENT), after=LOST))
    assert (entry.joules, entry.pods_without_last_reading) == (12, 1)
    exact = killed.hearing(metered_nodes=AGENT, agents_words={POD.uid: used(15)})
    assert ledger(settled(exact)).joules == 15


def test_a_pod_that_is_lost_with_its_node_is_waited_for() -> None:
    lost = ONE.with_pods(pod(0, of=ONE).running_on("a").held().being_deleted(0, grace=30))
    assert settled(lost, after=LOST - 1, nodes=LOST_NODE) is None
    assert ledger(settled(lost, after=LOST, nodes=LOST_NODE)).pods_without_last_reading == 1
    heard = lost.hearing(agents_words={POD.uid: used(80)})
    assert settled(heard, after=Policy().lost_pod_seconds - 1, nodes=LOST_NODE) is None
    assert ledger(settled(heard, after=Policy().lost_pod_seconds, nodes=LOST_NODE)).joules == 80


def test_one_whose_node_answers_is_not_lost() -> None:
    ending = ONE.with_pods(pod(0, of=ONE).running_on("a").held().being_deleted(0, grace=30))
    assert settled(ending, after=10**6) is None
    assert ledger(settled(ONE.with_pods(pod(0, of=ONE).running_on("a").held().being_deleted(0, grace=0)), after=LOST))


def test_a_pod_that_never_ran_is_let_go_without_an_entry() -> None:
    gated = pod(0, of=ONE).gated().held()
    assert steps(ONE.with_pods(gated)) == []
    unbound, rejected = gated.being_deleted(0), pod(0, of=ONE).on("a").rejected("OutOfcpu").held()
    for never_ran in (unbound, rejected):
        assert released(ONE.with_pods(never_ran)) == [POD.name]
        assert settled(ONE.with_pods(never_ran)) is None


def test_a_pod_that_seems_not_to_have_run_may_have_where_its_node_is_silent() -> None:
    failed = ONE.with_pods(pod(0, of=ONE).on("a").rejected("NodeLost").held().being_deleted(0))
    assert released(failed, nodes=LOST_NODE) == []
    assert ledger(settled(failed, after=LOST, nodes=LOST_NODE)).pods_without_last_reading == 1


@pytest.mark.parametrize("ahead", [120, 10**9])
def test_nothing_waits_for_a_clock_that_is_far_ahead(ahead: float) -> None:
    """The kubelet says that the pod ended in the future, in a minute or in thirty years."""
    ahead_of_us = POD.ended_at(ahead, words(30, at=ahead))
    assert ledger(settled(ONE.with_pods(ahead_of_us).hearing(metered_nodes=AGENT))).joules == 30
    silent = ONE.with_pods(POD.ended_at(ahead)).hearing(metered_nodes=AGENT, unheard={POD.uid: NOW})
    assert settled(silent, after=LOST - 1) is None
    assert next_due(silent.build(), NOW + 1, Policy()) == NOW + LOST
    assert ledger(settled(silent, after=LOST)).pods_without_last_reading == 1


def test_nor_does_a_gang() -> None:
    gang = job("two").replicas(2).ended(Phase.SUCCEEDED).with_job(complete=True)
    done = pod(0, of=gang).on("a").succeeded().held().ended_at(10**9, words(30, at=10**9))
    goes_on = pod(1, of=gang).running_on("a").held()
    assert settled(gang.with_pods(done, goes_on)) is not None
