"""The container's last words, where Kubernetes looks for them.

What a container leaves in its termination log, at most 4,096 bytes, is shown in the pod's status: it survives the
container, and reading it needs no access to logs. Outside a container there is no such file and nothing is written.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

TERMINATION_LOG = Path("/dev/termination-log")
MESSAGE_BYTES = 4096


def write_message(text: str, path: Path) -> None:
    """Leave ``text`` in the termination log, if there is one."""
    if not path.is_file():
        return
    try:
        path.write_bytes(text.encode()[:MESSAGE_BYTES])
    except OSError as error:
        log.warning("termination log %s cannot be written: %s", path, error.strerror)
