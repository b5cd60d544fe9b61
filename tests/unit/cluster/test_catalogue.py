"""Every program can be had without a prebuilt download, and knows its own version when it hears it."""

from __future__ import annotations

import re

import pytest

from tests.cluster.catalogue import PROGRAMS, Program
from tests.cluster.paths import TOOLS


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_machine_with_package_registries_only_can_have_it(program: Program) -> None:
    assert program.go is not None or program.debian is not None


@pytest.mark.parametrize("program", [one for one in PROGRAMS.values() if one.go], ids=lambda one: one.name)
def test_its_module_pins_the_version_that_is_wanted(program: Program) -> None:
    assert program.go is not None
    pinned = (TOOLS / program.go.module / "go.mod").read_text()
    assert f"\t{program.go.package}\n" in pinned or f"tool {program.go.package}\n" in pinned
    # Prometheus numbers its module 0.313.5 for release 3.13.5.
    major, minor, patch = program.version.split(".")
    versions = {f"v{program.version}", f"v0.{major}{int(minor):02d}.{patch}"}
    module = max((line.split()[0] for line in pinned.splitlines() if _requires(line, program.go.package)), key=len)
    assert any(re.search(rf"{re.escape(module)} {re.escape(version)}\b", pinned) for version in versions)
    assert (TOOLS / program.go.module / "go.sum").is_file()


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("kubelet", "Kubernetes v1.36.3", "1.36.3"),
        ("kubectl", "Client Version: v1.32.4\nKustomize Version: v5.5.0", "1.32.4"),
        ("etcd", "etcd Version: 3.7.3\nGit SHA: Not provided", "3.7.3"),
        ("containerd", "containerd github.com/containerd/containerd/v2 2.1.4+unknown ", "2.1.4"),
        ("runc", "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev", "1.1.5"),
        ("coredns", "CoreDNS-1.14.7\nlinux/amd64, go1.26.8, ", "1.14.7"),
        ("prometheus", "prometheus, version 3.13.5 (branch: , revision: unknown)", "3.13.5"),
        ("helm", "v3.22.0+g1234567", "3.22.0"),
        ("kwok", "kwok version v0.8.0 go1.26.8 (linux/amd64)", "0.8.0"),
    ],
)
def test_it_finds_the_version_in_what_a_program_says(name: str, says: str, version: str) -> None:
    assert PROGRAMS[name].parse_version(says) == version


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_accepts_its_own_version(program: Program) -> None:
    assert re.fullmatch(program.accepts, program.version)


@pytest.mark.parametrize(
    ("name", "version"), [("kubectl", "1.32.4"), ("containerd", "1.7.2"), ("prometheus", "2.42.0"), ("helm", "4.1.0")]
)
def test_it_refuses_other_versions(name: str, version: str) -> None:
    assert not re.fullmatch(PROGRAMS[name].accepts, version)


def _requires(line: str, package: str) -> bool:
    words = line.removeprefix("require ").split()
    return len(words) >= 2 and words[1].startswith("v") and (package + "/").startswith(words[0] + "/")
