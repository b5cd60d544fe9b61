"""Pods trust whatever their agents serve with, for as long as an authority's last third; replicas share one Secret."""

from __future__ import annotations

import base64
import logging
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.serve.agent_authority import (
    SECRET_NAME,
    Authorities,
    Authority,
    AuthorityKeeper,
    Lifetimes,
    advance,
    issue,
)
from ballast.serve.certificates import Unusable
from tests.unit.serve.agent_requests import OWN
from tests.unit.serve.certificate_times import START, day
from tests.unit.serve.secrets_api import SECRETS, SecretsApi

LIFETIMES = Lifetimes(authority_seconds=90 * 86400.0)
SECRET = f"{SECRETS}/{SECRET_NAME}"


def authorities(now: datetime = START, before: Authorities | None = None) -> Authorities:
    return advance(before, now, LIFETIMES)


def signed_at(trusted: Authorities, now: datetime) -> Authority:
    """The authority that signs; what it signs is valid and outlived by it."""
    signer = trusted.signer(now, LIFETIMES)
    certificate = issue(signer, ec.generate_private_key(ec.SECP256R1()).public_key(), OWN, 86400, now, LIFETIMES)
    certificate.verify_directly_issued_by(signer.certificate)
    assert signer.certificate.not_valid_before_utc <= certificate.not_valid_before_utc <= now
    assert now < certificate.not_valid_after_utc <= signer.certificate.not_valid_after_utc
    return signer


def test_nothing_changes_for_two_thirds_of_its_life() -> None:
    first = authorities()
    assert authorities(day(59), first) is first


def test_a_new_one_is_trusted_for_a_third_of_a_life_before_it_signs() -> None:
    first = authorities()
    both = authorities(day(61), first)
    assert both.all[0] == first.all[0]
    assert len(both.all) == 2
    assert authorities(day(88), both) is both
    assert signed_at(both, day(61)) == signed_at(both, day(88)) == first.all[0]
    assert signed_at(both, day(89.5)) == both.all[1]


def test_an_old_one_is_trusted_as_long_as_it_is_valid() -> None:
    both = authorities(day(61), authorities())
    assert authorities(day(89.9), both) is both
    assert authorities(day(90.1), both).all == both.all[1:]


def test_after_a_long_sleep_there_is_one_that_signs_at_once() -> None:
    asleep = authorities(day(200), authorities())
    assert len(asleep.all) == 1
    assert signed_at(asleep, day(200)) == asleep.all[0]


@pytest.mark.parametrize(("seconds", "given"), [(3600, 3600), (10 * 86400, 86400)])
def test_an_agent_gets_no_more_time_than_there_is(seconds: float, given: float) -> None:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    certificate = issue(authorities().all[0], public_key, OWN, seconds, day(1), LIFETIMES)
    assert certificate.not_valid_after_utc == day(1) + timedelta(seconds=given)


def test_what_is_stored_is_read_back() -> None:
    both = authorities(day(61), authorities())
    assert Authorities.parse(both.files()).bundle == both.bundle
    assert both.bundle.count(b"BEGIN CERTIFICATE") == both.files()["ca.key"].count(b"BEGIN PRIVATE KEY") == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"ca.key": b""},
        {"ca.crt": b"nonsense"},
        {"ca.key": authorities().files()["ca.key"]},
        {"ca.key": b"-----BEGIN PRIVATE KEY-----\nxxx\n-----END PRIVATE KEY-----\n"},
    ],
)
def test_what_does_not_fit_together_is_not_used(damage: dict[str, bytes]) -> None:
    with pytest.raises(Unusable):
        Authorities.parse({**authorities().files(), **damage})


def test_a_missing_part_is_named() -> None:
    with pytest.raises(Unusable, match=r"ca\.key is missing"):
        Authorities.parse({"ca.crt": authorities().bundle})


def keeper(api: SecretsApi, now: datetime = START) -> AuthorityKeeper:
    return AuthorityKeeper(api, "ballast-system", LIFETIMES, lambda: now)


async def test_the_charts_empty_secret_is_filled() -> None:
    api = SecretsApi()
    api.objects[SECRET] = {"metadata": {"name": SECRET_NAME, "resourceVersion": "7", "labels": {"a": "b"}}}
    made = await keeper(api).round()
    assert base64.b64decode(api.objects[SECRET]["data"]["ca.crt"]) == made.bundle
    assert api.objects[SECRET]["metadata"]["labels"] == {"a": "b"}


async def test_a_missing_secret_is_made() -> None:
    api = SecretsApi()
    await keeper(api).round()
    assert api.writes == [SECRET]


async def test_the_second_round_and_another_replica_write_nothing() -> None:
    api = SecretsApi()
    first, second = keeper(api), keeper(api)
    made = await first.round()
    assert (await first.round()).bundle == (await second.round()).bundle == made.bundle
    assert api.writes == [SECRET]


@pytest.mark.parametrize("there", [False, True])
async def test_of_two_that_make_one_at_once_one_does(there: bool) -> None:
    api, other = SecretsApi(), SecretsApi()
    theirs = await keeper(other).round()
    if there:
        api.objects[SECRET] = {"metadata": {"name": SECRET_NAME, "resourceVersion": "0"}}
    api.before_write = lambda: api.objects.update({SECRET: other.objects[SECRET]})
    assert (await keeper(api).round()).bundle == theirs.bundle


async def test_a_damaged_secret_is_made_anew_and_said(caplog: pytest.LogCaptureFixture) -> None:
    api = SecretsApi()
    await keeper(api).round()
    api.objects[SECRET]["data"]["ca.key"] = "%%%"
    made = await keeper(api).round()
    assert base64.b64decode(api.objects[SECRET]["data"]["ca.crt"]) == made.bundle
    assert "made anew" in caplog.text


async def test_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        made = await keeper(SecretsApi()).round()
    assert caplog.records
    assert "PRIVATE" not in str([vars(record) for record in caplog.records]) + repr(made)
