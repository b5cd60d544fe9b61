"""A token of a pod that the agent knows to be there is seldom asked about: many pods ask every few seconds."""

from __future__ import annotations

import pytest

from ballast.agent.serving.tokens import ACCEPTED_SECONDS, THERE_SECONDS, NotReviewed, Unauthenticated
from ballast.kube import ApiUnavailable
from tests.unit.agent.token_reviews import TokenReviews, accepted, token_until

TOKEN = token_until(1_000_000)


@pytest.fixture
def api() -> TokenReviews:
    """An API server that knows the token of a pod, as the agent knows the pod."""
    api = TokenReviews(**{TOKEN: accepted()})
    api.there.add("uid-1")
    return api


async def test_it_is_asked_about_after_minutes_only(api: TokenReviews) -> None:
    tokens = api.tokens
    began = api.clock.now
    while api.clock.now - began < THERE_SECONDS:
        await tokens.identify(TOKEN)
        api.clock.now += 5
    assert len(api.asked) == 1
    await tokens.identify(TOKEN)
    assert len(api.asked) == 2


async def test_once_its_deletion_began_it_is_asked_about_often(api: TokenReviews) -> None:
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.clock.now += ACCEPTED_SECONDS
    api.there.clear()
    await tokens.identify(TOKEN)
    assert len(api.asked) == 2
    api.statuses.clear()
    api.clock.now += ACCEPTED_SECONDS
    with pytest.raises(Unauthenticated, match="not valid here"):
        await tokens.identify(TOKEN)


async def test_once_it_is_gone_it_is_refused(api: TokenReviews) -> None:
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.there.clear()
    api.gone.add("uid-1")
    with pytest.raises(Unauthenticated, match="was deleted"):
        await tokens.identify(TOKEN)


async def test_it_is_not_believed_beyond_the_tokens_own_end() -> None:
    short = token_until(1_000 + 60)
    api = TokenReviews(**{short: accepted()})
    api.there.add("uid-1")
    tokens = api.tokens
    await tokens.identify(short)
    api.clock.now += 59
    await tokens.identify(short)
    assert len(api.asked) == 1
    api.statuses.clear()
    api.clock.now += 1
    with pytest.raises(Unauthenticated):
        await tokens.identify(short)


@pytest.mark.parametrize("token", [token_until("never"), token_until(None), "header.claims.x", "a.W10.x", "a..x"])
async def test_a_token_that_does_not_say_when_it_ends_is_asked_about_often(token: str) -> None:
    api = TokenReviews(**{token: accepted()})
    api.there.add("uid-1")
    tokens = api.tokens
    for _ in range(2):
        await tokens.identify(token)
        api.clock.now += ACCEPTED_SECONDS
    assert len(api.asked) == 2


async def test_where_the_api_server_is_away_it_is_believed_for_so_long_and_no_longer(api: TokenReviews) -> None:
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.error = ApiUnavailable("connection refused")
    api.clock.now += THERE_SECONDS - 1
    await tokens.identify(TOKEN)
    api.clock.now += 1
    with pytest.raises(NotReviewed):
        await tokens.identify(TOKEN)


async def test_another_pod_being_there_is_no_reason(api: TokenReviews) -> None:
    api.there = {"uid-2"}
    tokens = api.tokens
    await tokens.identify(TOKEN)
    api.clock.now += ACCEPTED_SECONDS
    await tokens.identify(TOKEN)
    assert len(api.asked) == 2
