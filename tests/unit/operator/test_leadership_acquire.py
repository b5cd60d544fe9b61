"""Taking the lease: at once if it is free, else after it has stood unchanged for its whole time; never two at once."""

from __future__ import annotations

import asyncio

import pytest

from ballast.leadership import new_identity
from tests.unit.operator.lease_server import LEASE_SECONDS, LeaseServer


async def test_a_lease_that_is_not_there_is_made() -> None:
    server = LeaseServer()
    a = server.candidate("a")
    assert not a.leading
    assert await a.attempt()
    assert a.leading
    assert a.settled.is_set()
    assert server.lease is not None
    spec = server.lease["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", LEASE_SECONDS, 0)
    assert spec["acquireTime"].endswith("Z")


async def test_who_stands_by_knows_who_leads_and_waits() -> None:
    server = LeaseServer()
    a, b = server.candidate("a"), server.candidate("b")
    await a.attempt()
    assert not await b.attempt()
    assert b.settled.is_set()
    server.clock.now += LEASE_SECONDS - 0.01
    assert not await b.attempt()
    assert server.holder == "a"


async def test_a_lease_that_stood_still_for_its_time_is_taken() -> None:
    server = LeaseServer()
    a, b = server.candidate("a"), server.candidate("b")
    await a.attempt()
    await b.attempt()
    server.clock.now += LEASE_SECONDS
    assert await b.attempt()
    assert not a.leading
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_its_time_begins_when_it_is_first_seen_whatever_it_says(caplog: pytest.LogCaptureFixture) -> None:
    server = LeaseServer()
    await server.candidate("a").attempt()
    assert server.lease is not None
    server.lease["spec"]["renewTime"] = "1999-01-01T00:00:00.000000Z"
    server.clock.now += 10 * LEASE_SECONDS
    b = server.candidate("b")
    assert not await b.attempt(), "a clock that is behind is no reason to take the lease"
    server.clock.now += LEASE_SECONDS
    assert await b.attempt()


async def test_each_renewal_begins_it_anew() -> None:
    server = LeaseServer()
    a, b = server.candidate("a"), server.candidate("b")
    for _ in range(4):
        await a.attempt()  # who leads renews by it too
        assert not await b.attempt()
        server.clock.now += LEASE_SECONDS * 0.6
    assert server.holder == "a"


async def test_the_longer_time_counts_where_replicas_differ() -> None:
    server = LeaseServer()
    a, b = server.candidate("a", lease_seconds=60), server.candidate("b")
    await a.attempt()
    await b.attempt()
    server.clock.now += 59
    assert not await b.attempt()


async def test_of_two_at_once_one_gets_it() -> None:
    server = LeaseServer()
    candidates = [server.candidate(name) for name in "abcd"]
    got = await asyncio.gather(*(each.attempt() for each in candidates))
    assert got.count(True) == 1
    server.clock.now += LEASE_SECONDS
    for each in candidates:
        await each.attempt()
    server.clock.now += LEASE_SECONDS
    await asyncio.gather(*(each.attempt() for each in candidates))
    assert [each.leading for each in candidates].count(True) == 1


async def test_a_lease_that_vanishes_is_not_taken_before_its_time() -> None:
    server = LeaseServer()
    a, b = server.candidate("a"), server.candidate("b")
    await a.attempt()
    await b.attempt()
    server.lease = None
    assert not await b.attempt(), "its holder has not noticed yet"
    server.clock.now += LEASE_SECONDS
    assert await b.attempt()


async def test_an_attempt_whose_answer_was_lost_is_made_good_by_the_next() -> None:
    server = LeaseServer()
    a = server.candidate("a")
    server.lose_answers = True
    assert not await a.attempt()
    assert server.holder == "a"
    assert not a.leading, "when it was sent is not known to count"
    server.lose_answers = False
    assert await a.attempt()


async def test_a_request_that_took_too_long_gives_nothing() -> None:
    server = LeaseServer()
    server.slow_seconds = LEASE_SECONDS
    a = server.candidate("a")
    assert not await a.attempt()
    assert not a.leading


async def test_trouble_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    server = LeaseServer()
    server.down = True
    a = server.candidate("a")
    for _ in range(3):
        assert not await a.attempt()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "cannot look at the lease yet; is the permission granted?"
    ]
    assert not a.settled.is_set()
    server.down = False
    assert await a.attempt()


async def test_acquiring_tries_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    server = LeaseServer()
    await server.candidate("a").attempt()
    b = server.candidate("b")
    real = asyncio.sleep

    async def passing(seconds: float) -> None:
        server.clock.now += seconds
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", passing)
    start = server.clock.now
    await b.acquire()
    assert b.leading
    assert server.clock.now - start == pytest.approx(LEASE_SECONDS), "it waits no longer than it must"


def test_no_two_processes_have_the_same_name() -> None:
    assert new_identity() != new_identity()
