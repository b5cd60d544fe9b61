"""Only a token of a pod of this node, for our audience, tells who asks."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ballast.agent.serving.tokens import NotReviewed, PodIdentity, Unauthenticated, WrongNode
from ballast.kube import ApiRefused, ApiUnavailable
from tests.unit.agent.token_reviews import TOKEN, TokenReviews, accepted


async def test_a_pods_own_token_tells_the_pod() -> None:
    api = TokenReviews()
    assert await api.tokens.identify(TOKEN) == PodIdentity("uid-1", "train-1-0", "v100-0")


async def test_the_api_server_is_asked_for_our_audience() -> None:
    api = TokenReviews()
    await api.tokens.identify(TOKEN)
    assert api.asked == [{"token": TOKEN, "audiences": ["ballast-agent"]}]


async def test_what_the_api_server_does_not_know_is_refused_with_a_remedy() -> None:
    with pytest.raises(Unauthenticated, match=r"expired.*audience ballast-agent.*read its file anew"):
        await TokenReviews().tokens.identify("some.other.token")


def without(status: dict[str, Any], key: str) -> dict[str, Any]:
    extra = {name: value for name, value in status["user"]["extra"].items() if not name.endswith(key)}
    return {**status, "user": {**status["user"], "extra": extra}}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({**accepted(), "audiences": []}, "does not say that the token is for ballast-agent"),
        ({**accepted(), "audiences": ["https://kubernetes.default.svc"]}, "does not say that the token is for"),
        (without(accepted(), "pod-uid"), "not bound to a pod"),
        (without(accepted(), "pod-name"), "not bound to a pod"),
        (without(accepted(), "node-name"), "on which node"),
        ({**accepted(), "user": {"username": "admin"}}, "not bound to a pod"),
        ({**accepted(), "authenticated": "true"}, "not valid here"),
        ({}, "not valid here"),
    ],
)
async def test_an_answer_that_leaves_a_doubt_is_a_no(status: dict[str, Any], told: str) -> None:
    with pytest.raises(Unauthenticated, match=told):
        await TokenReviews(**{TOKEN: status}).tokens.identify(TOKEN)


async def test_a_pod_of_another_node_is_sent_to_its_own_agent() -> None:
    api = TokenReviews(**{TOKEN: accepted(node="a40-0")})
    with pytest.raises(WrongNode, match=r"runs on node a40-0.*agent of node v100-0.*status\.hostIP"):
        await api.tokens.identify(TOKEN)


@pytest.mark.parametrize("text", ["", "no-token", "a.b", "a.b.c.d", "ä.b.c", "a.b." + "c" * 20_000])
async def test_what_is_no_token_is_not_asked_about(text: str) -> None:
    api = TokenReviews(**{text: accepted()} if text else {TOKEN: accepted()})
    with pytest.raises(Unauthenticated, match="no service-account token"):
        await api.tokens.identify(text)
    assert api.asked == []


@pytest.mark.parametrize("error", [ApiUnavailable("connection refused"), ApiRefused(403, "Forbidden", TOKEN)])
async def test_where_the_api_server_cannot_be_asked_nobody_is_known(error: Any) -> None:
    api = TokenReviews()
    api.error = error
    with pytest.raises(NotReviewed, match="cannot be asked"):
        await api.tokens.identify(TOKEN)


async def test_no_token_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    api = TokenReviews()
    api.error = ApiRefused(403, "Forbidden", f"may not create {TOKEN}")
    with caplog.at_level(logging.DEBUG), pytest.raises(NotReviewed) as refused:
        await api.tokens.identify(TOKEN)
    assert caplog.records
    assert TOKEN not in str([vars(record) for record in caplog.records]) + str(refused.value)
