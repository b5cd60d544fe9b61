"""An image is known by its inputs: what must change its reference, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_inputs import Digests, digests, write_context
from tests.unit.cluster_images.builders import TARGET, a_checkout


@pytest.mark.parametrize("changed", ["operator/ballast/decide/cycle.py", "workloads/frugal/__init__.py", "LICENSE"])
def test_a_change_of_code_changes_the_content_but_not_the_dependencies(tmp_path: Path, changed: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / changed).write_text("something else")
    after = digests(TARGET, "base", checkout)
    assert after.dependencies == before.dependencies
    assert after.content != before.content


def test_another_lock_changes_both(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    (checkout / "lock/operator.txt").write_text("something else")
    after = digests(TARGET, "base", checkout)
    assert after.dependencies != before.dependencies
    assert after.content != before.content


def _edited(checkout: Path, words: str, replacement: str) -> Digests:
    """The digests once the Dockerfile says something else."""
    dockerfile = checkout / "Dockerfile"
    assert words in dockerfile.read_text()
    dockerfile.write_text(dockerfile.read_text().replace(words, replacement))
    return digests(TARGET, "base", checkout)


@pytest.mark.parametrize("words", ["install what the operator needs", "FROM ${BASE_IMAGE} AS runtime"])
def test_another_recipe_of_its_dependencies_changes_both(tmp_path: Path, words: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    after = _edited(checkout, words, f"{words}\nENV SOMETHING=else")
    assert after.dependencies != before.dependencies
    assert after.content != before.content


@pytest.mark.parametrize("words", ["make the code", "FROM operator-dependencies AS operator"])
def test_another_recipe_of_the_code_changes_the_content_alone(tmp_path: Path, words: str) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    after = _edited(checkout, words, f"{words}\nENV SOMETHING=else")
    assert after.dependencies == before.dependencies
    assert after.content != before.content


@pytest.mark.parametrize("words", ["install what the trainer needs", "FROM trainer-dependencies AS trainer"])
def test_another_images_recipe_changes_nothing(tmp_path: Path, words: str) -> None:
    """So that a new image does not have the 5.9 GB of another built again."""
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    assert _edited(checkout, words, f"{words}\nENV SOMETHING=else") == before


def test_a_comment_in_the_recipe_changes_nothing(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before = digests(TARGET, "base", checkout)
    assert _edited(checkout, "RUN make the code", "# why\nRUN make the code") == before


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
