"""The exporter's last words about its pod: the file that the kubelet takes its container's termination message from.

They are written early and overwritten at each poll, because the end may come without a warning. The file is a bind
mount of the kubelet's and cannot be replaced. What must hold: whoever reads it at any moment, or after a SIGKILL at any
moment, finds whole words. So they are overwritten by one write of no more than a page, never shorter than what stands
there (blanks fill it up, which JSON allows), and the blanks are cut off after that.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from ballast.api.finalreading import MAX_BYTES, FinalReading

logger = logging.getLogger(__name__)

BLANK: Final = b" "


class FinalWords:
    """The file.

    Args:
        path: given by the kubelet; where there is none, as on a workstation, nothing is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: bytes | None = None
        self._fails = False

    def say(self, reading: FinalReading) -> bool:
        """Write, and return whether that worked."""
        said = reading.encode().encode("ascii")
        if said == self._said and not self._fails:
            return True
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                there = min(os.fstat(descriptor).st_size, MAX_BYTES)
                os.pwrite(descriptor, said.ljust(there, BLANK), 0)
                os.ftruncate(descriptor, len(said))
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._fails:
                logger.warning(
                    "cannot write the last words: what the pod used last is then known from its node's agent or from"
                    " Prometheus only",
                    extra={"file": str(self._path), "error": str(error)},
                )
            self._fails = True
            return False
        self._said, self._fails = said, False
        return True
