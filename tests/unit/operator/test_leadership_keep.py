"""Keeping, losing and giving back the lease; and the fence, which trusts nothing but the clock."""

from __future__ import annotations

import asyncio

import pytest

from ballast.errors import NotLeading
from ballast.leadership import LED_SHARE, Leadership
from tests.unit.operator.lease_server import LEASE_SECONDS, LeaseServer

LED_SECONDS = LEASE_SECONDS * LED_SHARE


class Pauses:
    """Ends the pauses between renewals at once: the clock passes by as much, or by what the test says."""

    def __init__(self, server: LeaseServer, leader: Leadership, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = server
        self.left = 0
        self.seconds: float | None = None

        async def pause() -> None:
            if not self.left:
                await asyncio.Event().wait()
            self.left -= 1
            server.clock.now += LEASE_SECONDS / 6 if self.seconds is None else self.seconds

        monkeypatch.setattr(leader, "_pause_or_loss", pause)


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.fixture
async def leader(server: LeaseServer) -> Leadership:
    leader = server.candidate("a")
    assert await leader.attempt()
    return leader


@pytest.fixture
def pauses(server: LeaseServer, leader: Leadership, monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return Pauses(server, leader, monkeypatch)


async def keep(leader: Leadership, pauses: Pauses, rounds: int) -> None:
    """Keep the lease for some rounds; end with the error if it is lost."""
    pauses.left = rounds
    task = asyncio.create_task(leader.keep())
    for _ in range(20 * rounds):
        await asyncio.sleep(0)
    if task.done():
        await task
    task.cancel()
    await asyncio.wait([task])


async def test_it_is_renewed_for_as_long_as_it_is_kept(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    await keep(leader, pauses, 20)
    assert leader.leading
    leader.check()
    assert server.writes == 21
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 0


async def test_nobody_writes_without_it(server: LeaseServer, leader: Leadership) -> None:
    leader.check()
    with pytest.raises(NotLeading, match="does not lead"):
        server.candidate("b").check()


async def test_the_fence_closes_by_the_clock_alone(server: LeaseServer, leader: Leadership) -> None:
    server.clock.now += LED_SECONDS - 0.01
    leader.check()
    server.clock.now += 0.01
    with pytest.raises(NotLeading, match=r"not renewed for 10\.0 s of its 15 s"):
        leader.check()


async def test_its_time_counts_from_before_the_request(server: LeaseServer) -> None:
    server.slow_seconds = 4.0
    leader = server.candidate("a")
    assert await leader.attempt()
    server.clock.now += LED_SECONDS - 4.0
    assert not leader.leading, "the request itself took four seconds"


async def test_a_write_that_was_refused_ends_it_though_the_lease_could_be_renewed(
    server: LeaseServer, leader: Leadership
) -> None:
    server.clock.now += 1_000
    with pytest.raises(NotLeading):
        leader.check()
    with pytest.raises(NotLeading, match="another may lead"):
        await leader.keep()
    assert server.writes == 1


async def test_a_leader_that_slept_does_not_renew(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    pauses.seconds = 1_000
    with pytest.raises(NotLeading, match=r"not renewed for 1000\.0 s"):
        await keep(leader, pauses, 1)
    assert server.writes == 1
    assert not leader.leading


async def test_a_short_outage_is_outlived(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    server.down = True
    await keep(leader, pauses, 2)
    server.down = False
    await keep(leader, pauses, 1)
    assert leader.leading
    assert server.writes == 2


async def test_what_failed_is_tried_again_soon(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    pauses.seconds = 0.0
    usual = leader._renewal_pause()
    server.down = True
    await keep(leader, pauses, 1)
    assert 0 < leader._renewal_pause() < usual / 2
    server.down = False
    await keep(leader, pauses, 1)
    assert leader._renewal_pause() == usual


async def test_no_pause_outlasts_the_lease(server: LeaseServer, leader: Leadership) -> None:
    server.clock.now += LED_SECONDS - 0.5
    assert leader._renewal_pause() == pytest.approx(0.5)
    server.clock.now += 60
    assert leader._renewal_pause() == 0


async def test_a_long_outage_is_not(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    server.down = True
    with pytest.raises(NotLeading):
        await keep(leader, pauses, 5)


async def test_a_renewal_whose_answer_was_lost_is_no_loss(
    server: LeaseServer, leader: Leadership, pauses: Pauses
) -> None:
    server.lose_answers = True
    await keep(leader, pauses, 1)
    server.lose_answers = False
    await keep(leader, pauses, 1)
    assert leader.leading
    server.clock.now += LED_SECONDS - 0.01
    leader.check()


async def test_one_that_another_has_taken_is_lost_at_once(
    server: LeaseServer, leader: Leadership, pauses: Pauses
) -> None:
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "b"
    server.lease["metadata"]["resourceVersion"] = "999"
    with pytest.raises(NotLeading, match="b has taken the lease"):
        await keep(leader, pauses, 1)
    with pytest.raises(NotLeading):
        leader.check()
    assert server.holder == "b"


async def test_one_that_somebody_edited_is_kept(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    assert server.lease is not None
    server.lease["metadata"].update({"resourceVersion": "999", "labels": {"a": "b"}})
    await keep(leader, pauses, 1)
    assert leader.leading
    assert server.lease["metadata"]["labels"] == {"a": "b"}


async def test_one_that_somebody_deleted_is_made_again(server: LeaseServer, leader: Leadership, pauses: Pauses) -> None:
    server.lease = None
    await keep(leader, pauses, 1)
    assert leader.leading
    assert server.holder == "a"


async def test_given_back_it_is_free_at_once(server: LeaseServer, leader: Leadership) -> None:
    b = server.candidate("b")
    assert not await b.attempt()
    await leader.release()
    assert not leader.leading
    with pytest.raises(NotLeading):
        leader.check()
    assert server.holder is None
    assert await b.attempt()
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_only_its_own_is_given_back(server: LeaseServer, leader: Leadership) -> None:
    b = server.candidate("b")
    await b.attempt()
    await b.release()
    assert server.holder == "a"


async def test_giving_back_fails_without_harm(
    server: LeaseServer, leader: Leadership, caplog: pytest.LogCaptureFixture
) -> None:
    server.down = True
    await leader.release()
    assert not leader.leading
    assert "takes over when it runs out" in caplog.text


async def test_each_change_of_leader_is_told_once(server: LeaseServer) -> None:
    told: list[str] = []
    b = Leadership(server, "ns", "lease", "b", LEASE_SECONDS, on_new_leader=told.append, clock=server.clock)
    a = server.candidate("a")
    await a.attempt()
    await b.attempt()
    await b.attempt()
    await a.release()
    await b.attempt()
    assert told == ["a", "b"]


async def test_a_pause_ends_early_when_a_write_was_refused(server: LeaseServer, leader: Leadership) -> None:
    task = asyncio.create_task(leader.keep())
    await asyncio.sleep(0)
    server.clock.now += 1_000
    with pytest.raises(NotLeading):
        leader.check()
    # Only so that what never happens fails: the pause alone is longer.
    async with asyncio.timeout(2):
        with pytest.raises(NotLeading):
            await task
