"""An image is known by its inputs: what must change its reference, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_inputs import digests, write_context
from tests.unit.cluster_images.builders import TARGET, a_checkout


@pytest.mark.parametrize("changed", ["operator/ballast/decide/cycle.py", "workloads/frugal/__init__.py", "LICENSE"])
def test_a_change_of_code_changes_the_content_but_not_the_dependencies(tmp_path: Path, changed: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / changed).write_text("something else")
    after = digests(TARGET, "base", checkout)
    assert after.dependencies == before.dependencies
    assert after.content != before.content


@pytest.mark.parametrize("changed", ["lock/operator.txt", "Dockerfile"])
def test_a_change_of_the_recipe_changes_both(tmp_path: Path, changed: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / changed).write_text("something else")
    after = digests(TARGET, "base", checkout)
    assert after.dependencies != before.dependencies
    assert after.content != before.content


def test_another_base_changes_both(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before, after = digests(TARGET, "base", checkout), digests(TARGET, "another base", checkout)
    assert after.dependencies != before.dependencies
    assert after.content != before.content


@pytest.mark.parametrize("changed", ["README.md", "lock/trainer.txt", "lock/build.txt"])
def test_what_the_image_does_not_hold_changes_nothing(tmp_path: Path, changed: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / changed).write_text("something else")
    assert digests(TARGET, "base", checkout) == before


def test_what_an_interpreter_leaves_behind_changes_nothing(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    compiled = checkout / "operator/ballast/__pycache__/cycle.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    assert digests(TARGET, "base", checkout) == before


def test_a_renamed_file_changes_the_content(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / "operator/ballast/decide/cycle.py").rename(checkout / "operator/ballast/decide/round.py")
    assert digests(TARGET, "base", checkout).content != before.content


def test_a_build_context_has_the_digest_of_its_checkout(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path / "checkout")
    context = tmp_path / "context"
    write_context(TARGET, checkout, context)
    assert digests(TARGET, "base", context) == digests(TARGET, "base", checkout)


def test_a_build_context_has_only_what_the_build_reads(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path / "checkout")
    context = tmp_path / "context"
    write_context(TARGET, checkout, context)
    assert sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()) == [
        "Dockerfile",
        "LICENSE",
        "lock/build.txt",
        "lock/operator.txt",
        "operator/ballast/__init__.py",
        "operator/ballast/decide/cycle.py",
        "pyproject.toml",
        "workloads/frugal/__init__.py",
    ]


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    (checkout / "lock/operator.txt").unlink()
    with pytest.raises(ClusterError, match=r"lock/operator\.txt is not in"):
        digests(TARGET, "base", checkout)
