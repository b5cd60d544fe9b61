"""A build is given certificates only where the host's installers are told to use some."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.image_engine import ca_bundle


def test_nothing_is_passed_on_an_ordinary_host() -> None:
    assert ca_bundle({}) is None


def test_the_installers_bundle_comes_before_the_general_one(tmp_path: Path) -> None:
    pip, general = tmp_path / "pip.crt", tmp_path / "general.crt"
    pip.touch()
    general.touch()
    assert ca_bundle({"SSL_CERT_FILE": str(general), "PIP_CERT": str(pip)}) == pip


def test_a_bundle_that_does_not_exist_is_passed_over(tmp_path: Path) -> None:
    general = tmp_path / "general.crt"
    general.touch()
    assert ca_bundle({"PIP_CERT": str(tmp_path / "missing.crt"), "SSL_CERT_FILE": str(general)}) == general
