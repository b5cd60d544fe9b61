"""New pods learn how to reach their nodes' agents from the operator that leads, and only where there are agents."""

from __future__ import annotations

import pytest

from ballast import operator as module
from ballast.act.agent_access import AgentAccess
from tests.unit.operator.replica import BUNDLE, Certificates, Replica, settle


@pytest.fixture(autouse=True)
def _certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AgentCertificates", Certificates)


async def test_who_leads_knows_before_its_first_cycle() -> None:
    replica = Replica()
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.access() == AgentAccess(BUNDLE, 9555)
        assert replica.certificates.runs == 1


async def test_who_does_not_lead_signs_nothing() -> None:
    replica = Replica()
    async with replica.running(leads=False):
        await settle()
        assert replica.certificates.runs == 0
        assert replica.access() is None
        assert not replica.deciding.is_set()


async def test_who_takes_over_begins_to() -> None:
    replica = Replica()
    async with replica.running(leads=False):
        await settle()
        replica.leadership.leads.set()
        await replica.deciding.wait()
        assert replica.certificates.runs == 1
        assert replica.access() == AgentAccess(BUNDLE, 9555)


async def test_jobs_do_not_wait_for_an_authority_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTHORITY_SECONDS", 0.01)
    monkeypatch.setattr(Certificates, "made", False)
    replica = Replica()
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.access() is None, "their pods get nothing that they could not trust"
        replica.certificates.make()
        assert replica.access() == AgentAccess(BUNDLE, 9555)


async def test_without_agents_there_is_nothing_to_reach() -> None:
    replica = Replica(agents=False)
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.certificates.runs == 0
        assert replica.access() is None
