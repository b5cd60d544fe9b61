"""The objects that users are shown."""

from __future__ import annotations

from pathlib import Path

import yaml

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from tests.unit.api.builders import Manifest

_FOLDER = Path(__file__).parents[3] / "workloads" / "examples"


def example_objects() -> dict[str, tuple[type[Kind], Manifest]]:
    """Every object in `workloads/examples` with its kind, by file and name."""
    kinds = {kind.resource.kind: kind for kind in KINDS}
    found = {}
    for path in sorted(_FOLDER.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for manifest in document["items"] if document["kind"] == "List" else [document]:
                found[f"{path.stem}:{manifest['metadata']['name']}"] = (kinds[manifest["kind"]], manifest)
    return found
