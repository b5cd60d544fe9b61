"""What survives a restart of the exporter: one JSON file on the pod's emptyDir, of this pod and no other.

What must hold: whoever reads finds the old or the new content, whole, at whatever moment the exporter was killed.
Nothing is told to anybody before it is saved, so that no counter falls; where it cannot be saved, that is logged once
and the exporter goes on.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

FILE: Final = "exporter.json"
VERSION: Final = 1
MOST_BYTES: Final = 1 << 20


class StateFile:
    """The file.

    Args:
        folder: which outlives the container; not made, because outside a pod there is none.
        pod_uid: of the pod whose it is.
    """

    def __init__(self, folder: Path, pod_uid: str) -> None:
        self._path = folder / FILE
        self._pod_uid = pod_uid
        self._fails = False

    def load(self) -> dict[str, Any]:
        """Return what was last saved of this pod; empty if there is nothing, or nothing of use."""
        try:
            with self._path.open("rb") as file:
                content = json.loads(file.read(MOST_BYTES))
            pod_uid, state = _opened(content)
            if pod_uid == self._pod_uid:
                return state
            logger.info("what is saved is another pod's, and is passed over", extra={"file": str(self._path)})
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.is_void(error)
        return {}

    def is_void(self, error: Exception) -> None:
        """Tell that what was saved cannot be used."""
        logger.warning(
            "what was saved cannot be read: counting begins anew, with what the agent says",
            extra={"file": str(self._path), "error": f"{type(error).__name__}: {error}"},
        )

    def save(self, state: Mapping[str, Any]) -> bool:
        """Save, and return whether that worked."""
        content = {"v": VERSION, "podUid": self._pod_uid, "state": state}
        data = json.dumps(content, separators=(",", ":")).encode()
        fresh = f"{self._path}.new"
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)
            os.replace(fresh, self._path)  # noqa: PTH105 - of strings, at each poll
        except OSError as error:
            if not self._fails:
                logger.warning(
                    "cannot save what the pod has used: after a restart of the exporter counting would begin anew",
                    extra={"file": str(self._path), "error": str(error)},
                )
            self._fails = True
            return False
        self._fails = False
        return True


def _opened(content: Any) -> tuple[str, dict[str, Any]]:
    """Return whose state is saved, and the state."""
    if content["v"] != VERSION:
        raise ValueError(f"version {content['v']!r} is not {VERSION}")
    if not isinstance(content["state"], dict):
        raise TypeError("the state is no object")
    return content["podUid"], content["state"]
