"""Promises of the Dockerfile that a build alone would not break."""

from __future__ import annotations

import re

import pytest

from tests.cluster.image_engine import default_base
from tests.cluster.image_inputs import BUILD_LOCK, CODE, TARGETS
from tests.cluster.paths import CHECKOUT

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
INSTRUCTIONS = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))


def stage(name: str) -> str:
    """The instructions of one stage."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", INSTRUCTIONS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no stage {name}"
    return found.group(1)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_only_the_agent_runs_as_root(target: str) -> None:
    user = "0:0" if target == "agent" else "65532:65532"
    assert re.findall(r"^USER (\S+)$", stage(target), re.MULTILINE) == [user]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_stage_above_the_dependencies_only_lays_the_code_over_them(target: str) -> None:
    assert "RUN" not in stage(target)
    assert re.findall(r"^COPY (.*)$", stage(target), re.MULTILINE) == ["--from=code /code /opt/ballast"]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_dependencies_depend_on_nothing_but_their_lock(target: str) -> None:
    dependencies = stage(f"{target}-dependencies")
    assert re.findall(r"^COPY (\S+)", dependencies, re.MULTILINE) == [TARGETS[target].lock]
    assert "--require-hashes" in dependencies


def test_the_dependencies_of_all_images_are_installed_alike() -> None:
    steps = {stage(target.dependencies).replace(target.lock, "LOCK") for target in TARGETS.values()}
    assert len(steps) == 1


def test_the_package_manager_is_never_called() -> None:
    assert not re.search(r"\b(apt|apt-get|apk|dnf)\b", INSTRUCTIONS)


def test_the_base_is_pinned() -> None:
    assert re.fullmatch(r"docker\.io/library/python:\d+\.\d+\.\d+-slim-\w+", default_base(CHECKOUT / "Dockerfile"))


def test_the_base_with_a_compiler_is_the_same_python_image_not_slim() -> None:
    """So that both have the same Python, and the Dockerfile's comment names it."""
    plain = default_base(CHECKOUT / "Dockerfile")
    compiling = default_base(CHECKOUT / "Dockerfile", compiler=True)
    assert compiling == plain.replace("-slim", "") != plain
    assert f"--build-arg BASE_IMAGE={compiling} ." in DOCKERFILE


def test_only_the_trainer_has_a_compiler() -> None:
    assert [target.name for target in TARGETS.values() if target.compiler] == ["trainer"]


@pytest.mark.parametrize("name", [*CODE, BUILD_LOCK, *(target.lock for target in TARGETS.values())])
def test_docker_is_sent_every_input(name: str) -> None:
    sent = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert f"!{name}" in sent or ("!lock/*.txt" in sent and name.startswith("lock/"))
