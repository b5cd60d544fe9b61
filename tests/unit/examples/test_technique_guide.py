"""Every technique has its place in the guide and in frugal's README, and what they tell to type can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from frugal import catalog, cli, registry
from frugal.composition import Composition
from tests.technique_examples import technique_examples

CHECKOUT = Path(__file__).parents[3]
GUIDE = CHECKOUT / "docs" / "guide" / "techniques.md"
FRUGAL_README = CHECKOUT / "workloads" / "frugal" / "README.md"
EXAMPLES_README = CHECKOUT / "workloads" / "examples" / "README.md"


def sections() -> dict[str, str]:
    """The guide's sections on one technique each."""
    parts = re.split(r"^### (\S+)\n", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: text.partition("\n## ")[0] for name, text in zip(parts[::2], parts[1::2], strict=True)}


def commands(file: Path) -> Iterator[list[str]]:
    """The arguments of every `frugal` command in a page's shell blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["frugal"] and "--help" not in words:
                yield words[1:]


def test_the_guide_has_every_technique_and_no_other() -> None:
    assert sorted(sections()) == registry.available()


@pytest.mark.parametrize("name", registry.available())
def test_each_has_a_command_a_manifest_a_judgement_and_a_paper(name: str) -> None:
    text = sections()[name]
    assert re.search(rf"--with {name}\b", text)
    assert f"[Manifest](../../workloads/examples/techniques/{name}.yaml)" in text
    assert re.search(r"\bpays?\b", text, re.IGNORECASE)
    assert re.search(r"\b(Not|Nothing)\b", text)
    assert re.search(r"\b(19|20)\d\d\b|tutorial", text)


@pytest.mark.parametrize("page", [GUIDE, FRUGAL_README], ids=lambda page: page.parent.name)
def test_what_a_page_tells_to_type_can_be_typed(page: Path) -> None:
    typed = list(commands(page))
    assert typed
    for arguments in typed:
        parsed = cli.build_parser()[0].parse_args(arguments)
        assert getattr(parsed, "model", "mlp") in catalog.MODELS
        assert getattr(parsed, "data", "digits") in catalog.DATASETS
        stacks = [case.split(" + ") for case in getattr(parsed, "cases", [])]
        for stack in [*stacks, getattr(parsed, "techniques", [])]:
            Composition([registry.create(spec) for spec in stack])


@pytest.mark.parametrize("page", [GUIDE, FRUGAL_README, EXAMPLES_README], ids=lambda page: page.parent.name)
def test_a_pages_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    anchors = {re.sub(r"\s+", "-", title.lower()) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert not file or (page.parent / file).exists(), target
        assert file or anchor in anchors, target


def test_the_readme_has_each_technique_with_its_stage_in_the_stages_order() -> None:
    rows = re.findall(r"^\| (\S+) \| [^|]+ \| (\w+) \|$", FRUGAL_README.read_text(encoding="utf-8"), re.MULTILINE)
    stages = {name: registry.create(name).stage for name in registry.available()}
    listed = [(name, stage) for name, stage in rows if name in stages]
    assert sorted(listed) == sorted((name, stage.name.lower()) for name, stage in stages.items())
    order = [stages[name] for name, _ in listed]
    assert order == sorted(order)


def test_the_examples_readme_has_every_manifest() -> None:
    text = EXAMPLES_README.read_text(encoding="utf-8")
    for example in technique_examples():
        assert f"(techniques/{example.file.name})" in text
