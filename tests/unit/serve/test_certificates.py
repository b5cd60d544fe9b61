"""When certificates are replaced, and what callers have to trust meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ballast.serve.certificates import CA_PRIVATE_KEY, PRIVATE_KEY, Material, Unusable, advance
from tests.unit.serve.certificate_times import POLICY, START, day


def test_a_new_one_serves_the_names_that_are_called() -> None:
    material = advance(None, START, POLICY)
    names = material.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = material.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.DNSName) == list(POLICY.names)
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert material.issuer == material.authorities[0]


def test_it_is_valid_for_callers_whose_clock_is_behind() -> None:
    material = advance(None, START, POLICY)
    assert material.certificate.not_valid_before_utc == START - timedelta(minutes=5)


def test_nothing_changes_before_two_thirds_of_its_lifetime() -> None:
    material = advance(None, START, POLICY)
    assert advance(material, day(59), POLICY) is material


def test_after_two_thirds_the_same_authority_signs_another() -> None:
    material = advance(None, START, POLICY)
    renewed = advance(material, day(61), POLICY)
    assert renewed.certificate != material.certificate
    assert renewed.authorities == material.authorities
    assert renewed.expires == day(61 + 90)


def test_a_new_authority_is_announced_before_it_signs() -> None:
    material = _at(day(239))
    announced = advance(material, day(241), POLICY)
    assert len(announced.authorities) == 2
    assert announced.authorities[1] == material.authorities[0]
    assert announced.certificate == material.certificate

    too_early = day(241) + timedelta(seconds=POLICY.settle_seconds - 1)
    assert advance(announced, too_early, POLICY) is announced
    settled = advance(announced, day(241) + timedelta(seconds=POLICY.settle_seconds), POLICY)
    assert settled.issuer == announced.authorities[0]
    assert settled.authorities == announced.authorities


def test_the_old_authority_is_trusted_until_it_expires() -> None:
    both = _at(day(359))
    assert len(both.authorities) == 2
    assert advance(both, day(361), POLICY).authorities == both.authorities[:1]


def test_an_operator_that_was_away_for_years_starts_anew() -> None:
    material = advance(None, START, POLICY)
    anew = advance(material, day(2000), POLICY)
    assert anew.authorities[0] not in material.authorities
    assert anew.expires > day(2000)


def test_with_an_expired_certificate_a_new_authority_signs_at_once() -> None:
    material = advance(None, START, POLICY)
    away = advance(material, day(300), POLICY)
    assert len(away.authorities) == 2
    assert away.issuer == away.authorities[0]


def test_at_every_moment_the_certificate_is_valid_and_signed_by_what_was_trusted_before() -> None:
    material = advance(None, START, POLICY)
    trusted = material.authorities
    for number in range(1, 1500):
        material = advance(material, day(number), POLICY)
        assert material.issuer in trusted
        assert material.certificate.not_valid_before_utc < day(number) < material.expires
        trusted = material.authorities
    assert trusted[0] != advance(None, START, POLICY).authorities[0]


def test_other_names_need_another_certificate() -> None:
    material = advance(None, START, POLICY)
    moved = replace(POLICY, names=("ballast-operator.elsewhere.svc",))
    renewed = advance(material, day(1), moved)
    assert renewed.certificate != material.certificate
    assert advance(renewed, day(1), moved) is renewed


def test_what_is_stored_is_read_back() -> None:
    material = advance(None, START, POLICY)
    assert Material.parse(material.files()).files() == material.files()


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt", "ca.key"])
def test_a_part_that_is_missing_or_damaged_is_unusable(name: str) -> None:
    files = advance(None, START, POLICY).files()
    with pytest.raises(Unusable, match=name.replace(".", r"\.")):
        Material.parse({key: value for key, value in files.items() if key != name})
    with pytest.raises(Unusable):
        Material.parse({**files, name: b"damaged"})


@pytest.mark.parametrize("name", [PRIVATE_KEY, CA_PRIVATE_KEY])
def test_another_ones_key_is_unusable(name: str) -> None:
    other = advance(None, START, POLICY).files()
    with pytest.raises(Unusable, match="not that of its certificate"):
        Material.parse({**advance(None, START, POLICY).files(), name: other[name]})


def test_another_ones_certificate_is_unusable() -> None:
    other = advance(None, START, POLICY).files()
    mixed = {**advance(None, START, POLICY).files(), "tls.crt": other["tls.crt"], "tls.key": other["tls.key"]}
    with pytest.raises(Unusable, match="not signed by a trusted authority"):
        Material.parse(mixed)


def test_it_shows_no_keys() -> None:
    material = advance(None, START, POLICY)
    assert "PRIVATE" not in repr(material)
    assert "key" not in repr(material)


def _at(time: datetime) -> Material:
    """What there is at a time, after looking once a day."""
    material, number = advance(None, START, POLICY), 0.0
    while day(number) <= time:
        material = advance(material, day(number), POLICY)
        number += 0.5
    return material
