"""Which engine builds: the one asked for, else a docker that answers, else buildah."""

from __future__ import annotations

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_engine import choose


def test_docker_is_chosen_when_it_answers() -> None:
    assert choose(None, docker_works=lambda: True, is_root=lambda: True) == "docker"


def test_buildah_is_chosen_when_docker_has_no_engine() -> None:
    assert choose(None, docker_works=lambda: False, is_root=lambda: True) == "buildah"


def test_the_engine_that_the_user_names_is_not_questioned() -> None:
    assert choose("buildah", docker_works=lambda: True, is_root=lambda: False) == "buildah"


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="docker, buildah"):
        choose("podman")


def test_without_any_engine_the_remedies_are_told() -> None:
    with pytest.raises(ClusterError, match="Start docker, or run as root"):
        choose(None, docker_works=lambda: False, is_root=lambda: False)
