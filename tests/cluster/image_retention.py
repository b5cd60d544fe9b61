"""Which builds are kept, so that the cache does not grow without bound.

A build whose dependencies nobody else shares holds gigabytes; one that differs in code holds some hundred kB. So the
last two sets of dependencies are kept of each target, and in each the last few builds. Invariant: the newest build of
every target is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

KEPT_DEPENDENCIES = 2
#: Builds of one set of dependencies: removal begins past the first number and goes down to the second. It takes
#: seconds, so not every build should end with one.
MOST_BUILDS = 8
KEPT_BUILDS = 3


@dataclass(frozen=True)
class Build:
    """A build that is there.

    Attributes:
        engine: Where.
        reference: Its name.
        target: Its target's name.
        dependencies: Digest of its base and lock.
        used: When it was last asked for, in seconds since the epoch.
    """

    engine: str
    reference: str
    target: str
    dependencies: str
    used: float


def superseded(builds: Iterable[Build]) -> list[Build]:
    """The builds that can go."""
    by_kind: dict[tuple[str, str], dict[str, list[Build]]] = {}
    for build in sorted(builds, key=lambda build: build.used, reverse=True):
        by_kind.setdefault((build.engine, build.target), {}).setdefault(build.dependencies, []).append(build)
    gone: list[Build] = []
    for groups in by_kind.values():
        for index, group in enumerate(groups.values()):
            if index >= KEPT_DEPENDENCIES:
                gone += group
            elif len(group) > MOST_BUILDS:
                gone += group[KEPT_BUILDS:]
    return gone


class BuildRecord:
    """The builds of all checkouts, in a file; the caller holds a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def builds(self) -> list[Build]:
        """All recorded builds."""
        if not self._path.is_file():
            return []
        return [Build(**each) for each in json.loads(self._path.read_text())]

    def note(self, build: Build) -> None:
        """Records a build, or that it was used."""
        others = [each for each in self.builds() if (each.engine, each.reference) != (build.engine, build.reference)]
        self._write([*others, build])

    def forget(self, builds: Iterable[Build]) -> None:
        """Drops builds."""
        gone = {(each.engine, each.reference) for each in builds}
        self._write([each for each in self.builds() if (each.engine, each.reference) not in gone])

    def _write(self, builds: list[Build]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps([asdict(each) for each in builds], indent=1))
        part.replace(self._path)
