"""The TrainingJobs that users are shown."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.unit.api.builders import Manifest

_FOLDER = Path(__file__).parents[3] / "workloads" / "examples"


def example_jobs() -> dict[str, Manifest]:
    """Every TrainingJob in `workloads/examples`, by file and name."""
    found = {}
    for path in sorted(_FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for manifest in document["items"] if document["kind"] == "List" else [document]:
                if manifest["kind"] == "TrainingJob":
                    found[f"{path.stem}:{manifest['metadata']['name']}"] = manifest
    return found
