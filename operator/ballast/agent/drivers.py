"""The vendors whose GPUs the agent knows: one line each, in the order in which they are looked for.

A node has the GPUs of one vendor. What must hold: without any driver there is still one, that has no GPUs.
"""

from __future__ import annotations

from collections.abc import Callable

from ballast.agent.device import Driver
from ballast.agent.nvml.driver import NvmlDriver

VENDORS: tuple[Callable[[], Driver], ...] = (NvmlDriver,)


def open_driver() -> Driver:
    """Return the driver of this node's GPUs: the first that is there."""
    found = None
    for vendor in VENDORS:
        driver = vendor()
        if driver.version is not None:
            return driver
        found = found or driver
    assert found is not None, "there is a vendor"  # noqa: S101
    return found
