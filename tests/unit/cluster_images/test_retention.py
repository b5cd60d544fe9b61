"""Which builds are removed, so that the cache does not grow without bound."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.image_retention import KEPT_BUILDS, MOST_BUILDS, Build, BuildRecord, superseded


def a_build(number: int, *, target: str = "trainer", dependencies: str = "d", engine: str = "buildah") -> Build:
    return Build(engine, f"localhost/ballast-{target}:{dependencies}{number}", target, dependencies, used=float(number))


def test_a_few_builds_of_the_same_dependencies_all_stay() -> None:
    assert superseded(a_build(number) for number in range(MOST_BUILDS)) == []


def test_past_that_only_the_last_used_stay() -> None:
    builds = [a_build(number) for number in range(MOST_BUILDS + 1)]
    gone = superseded(builds)
    assert sorted(set(builds) - set(gone), key=lambda build: build.used) == builds[-KEPT_BUILDS:]


def test_the_third_set_of_dependencies_takes_the_first_away() -> None:
    old, middle, new = (a_build(number, dependencies=f"d{number}") for number in range(3))
    assert superseded([old, middle, new]) == [old]


def test_a_set_of_dependencies_counts_as_used_when_any_of_its_builds_is() -> None:
    old, middle, new = (a_build(number, dependencies=f"d{number}") for number in range(3))
    old_used_again = a_build(9, dependencies="d0")
    assert superseded([old, middle, new, old_used_again]) == [middle]


def test_targets_and_engines_do_not_displace_each_other() -> None:
    builds = [
        a_build(number, target=target, engine=engine, dependencies=f"{target}{engine}{number}")
        for target in ("operator", "trainer")
        for engine in ("docker", "buildah")
        for number in range(2)
    ]
    assert superseded(builds) == []


def test_a_build_that_is_used_again_is_recorded_once(tmp_path: Path) -> None:
    record = BuildRecord(tmp_path / "builds.json")
    first = Build("buildah", "localhost/ballast-trainer:a", "trainer", "d", used=1.0)
    again = Build("buildah", "localhost/ballast-trainer:a", "trainer", "d", used=2.0)
    record.note(first)
    record.note(again)
    assert record.builds() == [again]


def test_a_build_that_is_forgotten_is_recorded_no_longer(tmp_path: Path) -> None:
    record = BuildRecord(tmp_path / "builds.json")
    record.note(a_build(1))
    record.note(a_build(2))
    record.forget([a_build(1)])
    assert record.builds() == [a_build(2)]
