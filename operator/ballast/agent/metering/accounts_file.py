"""The file that brings totals over a restart of the agent.

What must hold: totals survive the agent, not the machine: after a reboot no pod is the same and boards count from 0, so
that what was saved before is void.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from ballast.agent.metering.accounts import Json

logger = logging.getLogger(__name__)

FILE = "accounts.json"
VERSION = 1


class AccountsFile:
    """Where totals are kept while no agent runs.

    A write is atomic for whoever reads after a crash of the agent. It does not wait for the disk: after a crash of the
    machine what it says is void anyway.

    Args:
        folder: on the node's disk; made if need be.
        boot_id: of this boot of the machine.
    """

    def __init__(self, folder: Path, boot_id: str) -> None:
        self._path = folder / FILE
        self._boot_id = boot_id
        self._fails = False

    def save(self, content: Json) -> None:
        """Save; if that fails it is logged, once, and stops nothing: totals are lost only if the agent ends then."""
        text = json.dumps({"version": VERSION, "bootId": self._boot_id, **content}, separators=(",", ":"))
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(self._path)
            self._fails = False
        except OSError as error:
            if not self._fails:
                logger.warning(
                    "cannot save what pods have used: it would be lost if the agent ended now",
                    extra={"file": str(self._path), "error": str(error)},
                )
            self._fails = True

    def load(self) -> Json:
        """Return what was last saved since the machine started; empty if there is nothing, or nothing of use."""
        try:
            content: Json = json.loads(self._path.read_text(encoding="utf-8"))
            if content["version"] == VERSION and content["bootId"] == self._boot_id:
                return content
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning(
                "what pods have used before cannot be read: counting begins anew",
                extra={"file": str(self._path), "error": f"{type(error).__name__}: {error}"},
            )
        return {}
