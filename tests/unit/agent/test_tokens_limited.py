"""A pod that floods gets no answers, and the API server and the other pods hardly notice."""

from __future__ import annotations

import pytest

from ballast.agent.serving.tokens import (
    REQUESTS_BURST,
    REQUESTS_PER_SECOND,
    UNKNOWN_BURST,
    UNKNOWN_BURST_PER_ADDRESS,
    Buckets,
    NotReviewed,
    Tokens,
    TooMany,
    Unauthenticated,
)
from ballast.kube import ApiUnavailable
from tests.unit.agent.token_reviews import TOKEN, Clock, TokenReviews, accepted


async def flood(tokens: Tokens, address: str, count: int = 200) -> int:
    """Return how many of many made-up tokens were refused without a question."""
    limited = 0
    for number in range(count):
        try:
            await tokens.identify(f"made-up.by-{address.replace('.', '-')}.{number}", address)
        except TooMany:
            limited += 1
        except Unauthenticated:
            pass
    return limited


async def test_made_up_tokens_of_one_pod_are_few_questions() -> None:
    api = TokenReviews()
    assert await flood(api.tokens, "10.0.0.1") == 200 - UNKNOWN_BURST_PER_ADDRESS
    assert len(api.asked) == UNKNOWN_BURST_PER_ADDRESS


async def test_and_of_many_pods_not_many_more() -> None:
    api = TokenReviews()
    tokens = api.tokens
    for number in range(20):
        await flood(tokens, f"10.0.0.{number}")
    assert len(api.asked) == UNKNOWN_BURST


async def test_another_pod_is_recognized_meanwhile() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await flood(tokens, "10.0.0.1")
    assert (await tokens.identify(TOKEN, "10.0.0.2")).uid == "uid-1"


async def test_one_that_was_recognized_before_is_again_in_any_flood() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await tokens.identify(TOKEN, "10.0.0.1")
    api.clock.now += 3600
    for number in range(20):
        await flood(tokens, f"10.0.0.{number}")
    asked = len(api.asked)
    assert (await tokens.identify(TOKEN, "10.0.0.1")).uid == "uid-1"
    assert len(api.asked) == asked + 1


async def test_a_pod_may_ask_only_so_often_and_is_told_when_again() -> None:
    other = "other.pods.token"
    api = TokenReviews(**{TOKEN: accepted(), other: accepted(uid="uid-2", pod="other")})
    tokens = api.tokens
    for _ in range(int(REQUESTS_BURST)):
        await tokens.identify(TOKEN)
    with pytest.raises(TooMany, match="train-1-0 may ask 10 times a second") as limited:
        await tokens.identify(TOKEN)
    assert limited.value.retry_seconds == pytest.approx(1 / REQUESTS_PER_SECOND)
    assert (await tokens.identify(other)).uid == "uid-2"
    api.clock.now += limited.value.retry_seconds
    await tokens.identify(TOKEN)


async def test_where_the_api_server_is_away_a_known_pod_cannot_make_us_ask_without_end() -> None:
    api = TokenReviews()
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.clock.now += 3600
    api.error = ApiUnavailable("connection refused")
    refused = []
    for _ in range(100):
        with pytest.raises((NotReviewed, TooMany)) as answer:
            await tokens.identify(TOKEN)
        refused.append(answer.type)
    assert refused.count(NotReviewed) == len(api.asked) - 1 == REQUESTS_BURST


def test_a_bucket_fills_again_and_holds_no_more_than_a_burst() -> None:
    clock = Clock()
    bucket = Buckets(per_second=2.0, burst=3.0, clock=clock)
    assert [bucket.take("pod") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 1
    assert [bucket.take("pod") for _ in range(3)] == [0, 0, 0.5]
    clock.now += 1000
    assert [bucket.take("pod") for _ in range(4)] == [0, 0, 0, 0.5]


def test_it_remembers_a_bounded_number_of_keys() -> None:
    clock = Clock()
    bucket = Buckets(per_second=1.0, burst=1.0, clock=clock, size=2)
    assert [bucket.take(key) for key in ("a", "b", "a", "b", "c", "a")] == [0, 0, 1, 1, 0, 0]
