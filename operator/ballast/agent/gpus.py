"""The node's GPUs as they are now: which answer, what each is, and the driver under them.

What must hold: a GPU that is away (lost, or its driver is being reloaded) is not there, and `problem` says so until it
is back; it comes back by itself at one of the next looks. Blocking; for the device thread.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ballast.agent.device import Description, DeviceError, DeviceLost, Driver, DriverGone, PowerDevice

logger = logging.getLogger(__name__)


class Gpus:
    """Devices and descriptions, looked up anew when asked to.

    Args:
        driver: the driver.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.devices: Mapping[str, PowerDevice] = {}
        self.descriptions: Mapping[str, Description] = {}
        self.problem: str | None = None
        """Why GPUs that were there are not; None as a rule."""
        self._known: frozenset[str] = frozenset()  # all that ever answered
        self._has_looked = False

    def look(self) -> bool:
        """Look which GPUs answer; return whether others do, or as something else, than at the last look.

        If none answered at the last look the driver is opened anew: it may have been away, or not there yet.
        """
        before = self.descriptions
        if self._has_looked and not self.devices:
            self.reopen()
        else:
            self._look(self.devices)
        self._has_looked = True
        return before != self.descriptions

    def reopen(self) -> bool:
        """Begin anew after the driver was reloaded; return whether there is one again."""
        try:
            self.driver.reopen()
        except DriverGone as error:
            self._lose_all(error)
            return False
        return self._look({})  # what there was is void

    def _look(self, before: Mapping[str, PowerDevice]) -> bool:
        """Look; return whether there is a driver."""
        try:
            devices, descriptions = self._described()
        except DriverGone as error:
            self._lose_all(error)
            return False
        except DeviceError as error:
            # It answers, if badly: to take all for gone would take away operating points for a moment.
            logger.warning("the driver does not tell which GPUs there are", extra={"error": str(error)})
            self.devices = before
            self.problem = f"the driver does not tell which GPUs there are: {error}" if self._known else None
            return True
        # Objects that stay the same remember what their boards do not support.
        kept = {
            uuid: before[uuid]
            for uuid in devices
            if uuid in before and self.descriptions.get(uuid) == descriptions[uuid]
        }
        self.devices, self.descriptions = {**devices, **kept}, descriptions
        self._known |= descriptions.keys()
        missing = ", ".join(sorted(self._known - descriptions.keys()))
        self.problem = f"no answer from {missing}: reset it (nvidia-smi -r), or restart the node" if missing else None
        return True

    def _described(self) -> tuple[dict[str, PowerDevice], dict[str, Description]]:
        devices: dict[str, PowerDevice] = {}
        descriptions: dict[str, Description] = {}
        for device in self.driver.devices():
            try:
                descriptions[device.uuid] = device.describe()
            except DriverGone:
                raise
            except DeviceError as error:
                logger.warning("a GPU cannot be described", extra={"gpu": device.uuid, "error": str(error)})
                if device.uuid in self.descriptions and not isinstance(error, DeviceLost):
                    # It answers, if badly: to take it for gone would take away its operating point for a moment.
                    devices[device.uuid], descriptions[device.uuid] = device, self.descriptions[device.uuid]
            else:
                devices[device.uuid] = device
        return devices, descriptions

    def _lose_all(self, error: DriverGone) -> None:
        self.devices, self.descriptions = {}, {}
        self.problem = f"the driver is gone: {error}" if self._known else None
