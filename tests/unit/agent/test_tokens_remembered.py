"""What the API server said about a token is remembered for a short while, and no longer than the pod lives."""

from __future__ import annotations

import asyncio

import pytest

from ballast.agent.serving.tokens import (
    ACCEPTED_SECONDS,
    MAX_TOKENS,
    REJECTED_SECONDS,
    NotReviewed,
    Tokens,
    Unauthenticated,
    WrongNode,
)
from ballast.kube import ApiUnavailable
from tests.unit.agent.token_reviews import NODE, TOKEN, TokenReviews, accepted


async def test_an_accepted_token_is_asked_about_again_after_a_while() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.clock.now += ACCEPTED_SECONDS - 0.1
    await tokens.identify(TOKEN)
    assert len(api.asked) == 1
    api.clock.now += 0.1
    await tokens.identify(TOKEN)
    assert len(api.asked) == 2


async def test_a_token_that_was_revoked_is_refused_from_then_on() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.statuses.clear()
    api.clock.now += ACCEPTED_SECONDS
    for _ in range(2):
        with pytest.raises(Unauthenticated, match="not valid here"):
            await tokens.identify(TOKEN)
    assert len(api.asked) == 2


async def test_it_counts_from_the_question_not_from_the_answer() -> None:
    api = TokenReviews()
    api.hold = asyncio.Event()
    tokens = api.tokens
    asking = asyncio.create_task(tokens.identify(TOKEN))
    await api.was_asked.wait()
    api.clock.now += ACCEPTED_SECONDS
    api.hold.set()
    await asking
    await tokens.identify(TOKEN)
    assert len(api.asked) == 2


async def test_a_pod_that_the_agent_saw_go_is_refused_at_once() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.gone.add("uid-1")
    with pytest.raises(Unauthenticated, match="was deleted"):
        await tokens.identify(TOKEN)


async def test_a_new_pod_of_the_same_name_is_another_pod() -> None:
    old, new = "old.pods.token", "new.pods.token"
    api = TokenReviews(**{old: accepted(uid="old"), new: accepted(uid="new")})
    tokens = api.tokens
    assert (await tokens.identify(old)).uid == "old"
    api.gone.add("old")
    assert (await tokens.identify(new)).uid == "new"
    with pytest.raises(Unauthenticated):
        await tokens.identify(old)


async def test_a_refused_token_is_asked_about_again_after_a_shorter_while() -> None:
    api = TokenReviews(**{TOKEN: accepted(node="a40-0")})
    tokens = api.tokens
    for _ in range(3):
        with pytest.raises(WrongNode, match="a40-0"):
            await tokens.identify(TOKEN)
    assert len(api.asked) == 1
    api.statuses[TOKEN] = accepted()
    api.clock.now += REJECTED_SECONDS
    assert (await tokens.identify(TOKEN)).uid == "uid-1"


async def test_that_nobody_answered_is_not_remembered() -> None:
    api = TokenReviews()
    api.error = ApiUnavailable("connection refused")
    tokens = api.tokens
    with pytest.raises(NotReviewed):
        await tokens.identify(TOKEN)
    api.error = None
    assert (await tokens.identify(TOKEN)).uid == "uid-1"


async def test_many_at_once_are_one_question() -> None:
    api = TokenReviews()
    tokens = api.tokens
    pods = await asyncio.gather(*(tokens.identify(TOKEN) for _ in range(10)))
    assert {pod.uid for pod in pods} == {"uid-1"}
    assert len(api.asked) == 1


async def test_who_hangs_up_takes_the_answer_from_nobody() -> None:
    api = TokenReviews()
    api.hold = asyncio.Event()
    tokens = api.tokens
    first, second = (asyncio.create_task(tokens.identify(TOKEN)) for _ in range(2))
    await api.was_asked.wait()
    first.cancel()
    api.hold.set()
    assert (await second).uid == "uid-1"
    assert first.cancelled()


async def test_made_up_tokens_drive_no_accepted_one_out() -> None:
    api = TokenReviews()
    tokens = Tokens(api, NODE, clock=api.clock, accepted_seconds=1e9)
    await tokens.identify(TOKEN)
    for number in range(MAX_TOKENS + 1):
        with pytest.raises(Unauthenticated):
            await tokens.identify(f"made.up.{number}")
        api.clock.now += 1  # so that it is asked about
    assert len(api.asked) == 1 + MAX_TOKENS + 1
    await tokens.identify(TOKEN)
    assert len(api.asked) == 1 + MAX_TOKENS + 1


async def test_closing_ends_the_questions_under_way() -> None:
    api = TokenReviews()
    api.hold = asyncio.Event()
    tokens = api.tokens
    asking = asyncio.create_task(tokens.identify(TOKEN))
    await api.was_asked.wait()
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
