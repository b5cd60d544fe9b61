"""The node's GPUs as they are now: which answer, what each is, and the driver under them.

What must hold: a GPU that is away (lost, or its driver is being reloaded) is not there; it comes back by itself at one
of the next looks. Blocking; for the device thread.
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

    def look(self) -> bool:
        """Look which GPUs answer; return whether others do, or as something else, than at the last look."""
        before = dict(self.descriptions)
        try:
            self._look()
        except DriverGone as error:
            self.devices, self.descriptions = {}, {}
            self.problem = f"the driver is gone: {error}"
        if before and self.problem is None and (missing := sorted(before.keys() - self.descriptions.keys())):
            self.problem = f"{', '.join(missing)} does not answer"
        return before != self.descriptions

    def reopen(self) -> bool:
        """Begin anew after the driver was reloaded; return whether there is one again."""
        try:
            self.driver.reopen()
        except DriverGone as error:
            self.devices, self.descriptions = {}, {}
            self.problem = f"the driver is gone: {error}"
            return False
        self.problem = None
        self.look()
        return True

    def _look(self) -> None:
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
        # Objects that stay the same remember what their boards do not support.
        kept = {
            uuid: self.devices[uuid] for uuid in devices if uuid in self.devices and self._is_same(uuid, descriptions)
        }
        self.devices, self.descriptions = {**devices, **kept}, descriptions
        if self.devices:
            self.problem = None

    def _is_same(self, uuid: str, descriptions: Mapping[str, Description]) -> bool:
        return self.descriptions.get(uuid) == descriptions[uuid]
