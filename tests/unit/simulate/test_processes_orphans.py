"""Workers whose parent was killed, so that nobody could end them, end by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PROGRAM = """\
from ballast.simulate.comparison.processes import run_each
from tests.unit.simulate.test_processes import work
if __name__ == "__main__":
    for event in run_each(["tell for ever"] * 2, work, processes=2):
        print(event, flush=True)
"""


def test_no_worker_outlives_its_parent_or_complains(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    parent = subprocess.Popen(
        [sys.executable, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert "tell for ever" in parent.stdout.readline()
    parent.kill()
    try:
        _, err = parent.communicate(timeout=30)  # until nobody holds its pipes any more, and workers hold them
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
    assert err == ""
