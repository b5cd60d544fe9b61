"""What the agent does with operating points, as a process of its own and without a cluster.

Called with a folder and `run` or `uninstall`. The file `asked` in the folder stands for the API server and the kubelet;
the file `told` is the process's answer, with the number of the `asked` that it is about.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ballast.agent.capping.assignments import assign
from ballast.agent.capping.capper import Capper
from ballast.agent.capping.operator_lease import OperatorLease
from ballast.agent.capping.originals import Originals, read_boot_id
from ballast.agent.device import Description, DeviceError, DriverGone, Sample
from ballast.agent.nvml.driver import NvmlDriver
from ballast.api.nodepower import NodePowerSpec
from ballast.clock import steady_seconds
from ballast.failpoints import Failpoints

STALE_SECONDS = 0.6
ROUND_SECONDS = 0.02
STATE = "state"


class Agent:
    """The loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver = NvmlDriver()
        self.capper = Capper(self.driver, Originals(folder / STATE, read_boot_id()), steady_seconds, Failpoints())
        self.lease = OperatorLease(STALE_SECONDS, steady_seconds())
        self.descriptions: dict[str, Description] = {}
        self.is_gone = False

    def run(self, stop: threading.Event) -> None:
        """Do rounds until told to stop, then restore."""
        round_ = 0
        while not stop.wait(ROUND_SECONDS):
            asked = json.loads((self.folder / "asked").read_text())
            round_ += 1
            self.tell({"asked": asked["number"], "round": round_, **self.reconcile(asked)})
        self.uninstall()

    def reconcile(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One round."""
        sent = steady_seconds()
        if asked["renewed"] == "always":
            asked["renewed"] = str(sent)
        lease = {"spec": {"holderIdentity": "operator", "renewTime": asked["renewed"]}}
        self.lease.observe(lease, sent)
        fresh = self.lease.is_fresh(sent)
        try:
            if self.is_gone:
                self.driver.reopen()
                self.is_gone = False
            samples = self.look()
            wanted = assign(
                NodePowerSpec.model_validate(asked["spec"]),
                asked["holders"],
                self.descriptions,
                operator_fresh=fresh,
                enforced=self.capper.enforced,
            )
            states = self.capper.reconcile(wanted, samples) if wanted is not None else {}
        except DriverGone as error:
            self.is_gone = True  # opened anew in the next round, and in each one until that succeeds
            self.capper.forget()
            return {"gone": str(error), "fresh": fresh, "states": {}}
        return {
            "gone": None,
            "fresh": fresh,
            "states": {
                uuid: {
                    "enforced": state.enforced.model_dump(by_alias=True, exclude_none=True) if state.enforced else None,
                    "reapplied": state.reapplied,
                    "problem": state.problem,
                }
                for uuid, state in states.items()
            },
        }

    def look(self) -> dict[str, Sample]:
        """Describe GPUs that are new, and read all."""
        samples = {}
        for device in self.driver.devices():
            try:
                if device.uuid not in self.descriptions:
                    self.descriptions[device.uuid] = device.describe()
                samples[device.uuid] = device.sample()
            except DriverGone:
                raise
            except DeviceError:
                continue  # lost just now: the capper says so
        return samples

    def uninstall(self) -> None:
        """Restore everything."""
        restored = self.capper.restore_all()
        self.tell({"restored": list(restored.restored), "problems": dict(restored.problems)})

    def tell(self, what: dict[str, Any]) -> None:
        """Answer."""
        unfinished = self.folder / "told.unfinished"
        unfinished.write_text(json.dumps(what))
        unfinished.replace(self.folder / "told")


def main() -> None:
    """Run as the command line says."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    agent = Agent(Path(sys.argv[1]))
    if sys.argv[2] == "uninstall":
        agent.uninstall()
    else:
        agent.run(stop)


if __name__ == "__main__":
    main()
