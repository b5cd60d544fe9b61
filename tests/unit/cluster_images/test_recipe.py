"""What a stage of a Dockerfile depends on, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.image_inputs import TARGETS
from tests.cluster.image_recipe import recipe
from tests.cluster.paths import CHECKOUT


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(
        "# A comment\nARG BASE=a\n\nFROM ${BASE} AS below\nENV below=1\nFROM other AS copied\nRUN copied \\\n    more\n"
        "FROM --platform=linux/amd64 other AS mounted\nENV mounted=1\nFROM other AS unrelated\nENV unrelated=1\n"
        "FROM below AS wanted\nCOPY --chown=0:0 --from=copied /a /a\n"
        "RUN --mount=type=bind,from=mounted,target=/m true\nCOPY --from=registry.example/image /b /b\n"
    )
    return path


def test_it_has_the_arguments_the_stage_and_what_that_builds_on_copies_from_and_mounts(dockerfile: Path) -> None:
    found = recipe(dockerfile, "wanted")
    for words in ("ARG BASE=a", "ENV below=1", "RUN copied", "    more", "ENV mounted=1", "COPY --chown=0:0"):
        assert words in found


def test_it_has_no_other_stage_and_no_comment(dockerfile: Path) -> None:
    found = recipe(dockerfile, "wanted")
    assert "unrelated" not in found
    assert "comment" not in found
    assert "wanted" not in recipe(dockerfile, "copied")


def test_a_stage_that_is_not_there_is_named(dockerfile: Path) -> None:
    with pytest.raises(ClusterError, match="has no stage agent"):
        recipe(dockerfile, "agent")


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_image_depends_on_anothers_stages(target: str) -> None:
    found = recipe(CHECKOUT / "Dockerfile", target)
    assert f"AS {target}-dependencies" in found
    assert not [other for other in TARGETS if other != target and f"AS {other}" in found]
