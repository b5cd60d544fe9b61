"""The manifests in workloads/examples/techniques: what they ask for and which figures they point at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "workloads" / "examples" / "techniques"

_FIGURE = re.compile(r"`([a-z]\w*)`")


@dataclass(frozen=True)
class TechniqueExample:
    """One manifest.

    Attributes:
        file: Where it is.
        comment: What stands above the object, on one line.
        manifest: The object.
    """

    file: Path
    comment: str
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file.stem

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's spec."""
        spec: dict[str, Any] = self.manifest["spec"]["template"]["spec"]
        return spec

    @property
    def command(self) -> list[str]:
        """What the trainer's container runs."""
        command: list[str] = self.pod["containers"][0]["command"]
        return command

    @property
    def trains(self) -> bool:
        """Whether it is one training, with its result in the pod's termination message; else a command of many."""
        return self.command[:2] == ["frugal", "train"]

    @property
    def needs_gpu(self) -> bool:
        """Whether it asks for a GPU."""
        return "nvidia.com/gpu" in self.pod["containers"][0]["resources"]["limits"]

    @property
    def stacks(self) -> list[list[str]]:
        """The techniques that are used together, as `--with` takes them: of a training, or of each case of a bench."""
        given = list(zip(self.command, self.command[1:], strict=False))
        cases = [value.split(" + ") for option, value in given if option == "--case"]
        together = [value for option, value in given if option == "--with"]
        return [*cases, together] if together else cases

    @property
    def figures(self) -> list[str]:
        """The figures of the result that the comment tells its reader to look at."""
        return _FIGURE.findall(self.comment)


def technique_examples() -> list[TechniqueExample]:
    """All of them, by name."""
    return [_read(file) for file in sorted(FOLDER.glob("*.yaml"))]


def _read(file: Path) -> TechniqueExample:
    text = file.read_text(encoding="utf-8")
    comment = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    return TechniqueExample(file, comment, yaml.safe_load(text))
