"""What the compared jobs run: steps that take the time which the board below lets them take.

It asks the real calls of NVML which GPU it holds, computes its steps, tells Ballast how far it is where Ballast wants
to know, and writes into its termination message what it did. What must hold: the work is counted in CPU time, which the
simulator deals out by the board's speed, so that a busy machine makes a trainer wait and not work less.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

#: On one CPU: the kernel deals quotas out for each. Starts with as few modules as it can: they cost time on a tenth of
#: a CPU. Reports twice a second; ends at SIGTERM with an exit code that is no success.
PROGRAM = """
import ctypes, json, os, signal, sys, time, zlib
from http.client import HTTPConnection
cpus = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, [cpus[zlib.crc32(os.environ["HOSTNAME"].encode()) % len(cpus)]])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
nvml = ctypes.CDLL("libnvidia-ml.so.1")
device, told = ctypes.c_void_p(), ctypes.create_string_buffer(96)
uuid = os.environ["NVIDIA_VISIBLE_DEVICES"].encode()
for code in (nvml.nvmlInit_v2(), nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(device)),
             nvml.nvmlDeviceGetName(device, told, 96)):
    assert code == 0, f"NVML answered {code}"
name = told.value.decode()
model, each = next((m, s) for m, s in json.loads(os.environ["STEP_CPU_SECONDS"]).items() if m in name)
total, step, reported = int(os.environ["STEPS"]), 0, 0.0
where = os.environ.get("BALLAST_PROGRESS_URL", "").removeprefix("http://")
host, _, path = where.partition("/")
began, spent = time.time(), time.process_time()
while step < total:
    if host and time.monotonic() - reported >= 0.5:
        reported = time.monotonic()
        try:
            line = HTTPConnection(host, timeout=5)
            line.request("POST", "/" + path, json.dumps(dict(step=step, totalSteps=total)))
            line.getresponse().read()
            line.close()
        except OSError:
            pass
    while time.process_time() - spent < each:
        sum(range(500))
    spent += each
    step += 1
with open("/dev/termination-log", "w") as file:
    json.dump(dict(model=model, steps=step, began=began, ended=time.time()), file)
"""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a trainer says it did.

    Attributes:
        model: GPU model that it found.
        steps: that it made.
        began: its first step, in seconds since the epoch; likewise `ended`, its last one.
    """

    model: str
    steps: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it trained."""
        return self.ended - self.began


def trained(message: str) -> Trained | None:
    """What a trainer's termination message says; None if it says nothing."""
    try:
        return Trained(**json.loads(message))
    except (ValueError, TypeError):
        return None
