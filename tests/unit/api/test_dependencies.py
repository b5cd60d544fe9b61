"""The models can be used where there is neither a cluster nor a client for one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPERATOR = Path(__file__).parents[3] / "operator"


def test_models_need_pydantic_only() -> None:
    script = (
        "import sys; import ballast.api.trainingjob, ballast.api.quantities;"
        "print(*sorted({'kopf', 'kubernetes', 'yaml', 'aiohttp'} & sys.modules.keys()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=_OPERATOR, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == []
