"""GPUs as the NodePowers tell of them, and what each pod's GPU had while the pod held it.

Pure. Invariant: a limit that is told here was read back from the board by its agent; what a pod's GPU had is kept after
the pod is gone, when the NodePower no longer says it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.demo.objects import JsonObject, gpu_model


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU of a node.

    Attributes:
        found_watts: Its power limit before the agent changed it first.
        enforced_watts: The power limit that the agent has set; None while it is as it was found.
        delay_seconds: From the change of the NodePower to the board's confirmation.
        holders: UIDs of the pods that hold it.
        problem: What is wrong with it, in the agent's words.
    """

    uuid: str
    node: str = ""
    model: str = ""
    found_watts: float | None = None
    enforced_watts: float | None = None
    delay_seconds: float | None = None
    holders: frozenset[str] = frozenset()
    problem: str = ""

    @property
    def how_soon(self) -> str:
        """How long it took to set what was asked for, for people; empty where it is not known."""
        if self.delay_seconds is None:
            return ""
        took = "less than 0.1" if self.delay_seconds < 0.1 else f"{self.delay_seconds:.1f}"
        return f"{took} s after it was asked for"

    @property
    def limit_watts(self) -> float | None:
        """Its power limit now."""
        return self.found_watts if self.enforced_watts is None else self.enforced_watts


def gpus(manifest: JsonObject) -> list[Gpu]:
    """The GPUs of a NodePower."""
    return [
        Gpu(
            uuid=each["uuid"],
            node=manifest["metadata"]["name"],
            model=gpu_model(each["model"]),
            found_watts=(each.get("powerLimit") or {}).get("foundWatts"),
            enforced_watts=((each.get("enforced") or {}).get("operatingPoint") or {}).get("powerLimitWatts"),
            delay_seconds=(each.get("enforced") or {}).get("delaySeconds"),
            holders=frozenset(holder["uid"] for holder in each.get("holders") or ()),
            problem=each.get("problem") or "",
        )
        for each in (manifest.get("status") or {}).get("gpus") or ()
    ]


class HeldGpus:
    """Follows the NodePowers."""

    def __init__(self) -> None:
        #: Every GPU as it was when its limit changed last, by UUID.
        self._told: dict[str, Gpu] = {}
        self._held: dict[tuple[str, str], Gpu] = {}

    def see(self, event: JsonObject) -> list[str]:
        """Takes in a watch event; returns a sentence for each power limit that it changed."""
        if event["type"] not in {"ADDED", "MODIFIED"}:
            return []
        told = []
        for gpu in gpus(event["object"]):
            for pod in gpu.holders:
                seen = self._held.get((pod, gpu.uuid))
                # The limit stays told of a pod that still holds its GPU when that has been put back.
                if seen is None or seen.enforced_watts is None or gpu.enforced_watts is not None:
                    self._held[pod, gpu.uuid] = gpu
            if gpu.limit_watts is None:
                continue  # an agent that was just started has not read the board yet
            before = self._told.setdefault(gpu.uuid, gpu)
            if before.limit_watts != gpu.limit_watts:
                told.append(_change(before, gpu))
                self._told[gpu.uuid] = gpu
        return told

    def of_pod(self, uid: str) -> list[Gpu]:
        """The GPUs that a pod has held, each with the power limit that it had then."""
        return [gpu for (pod, _), gpu in sorted(self._held.items()) if pod == uid]


def _change(before: Gpu, after: Gpu) -> str:
    limits = f"{_watts(before.limit_watts)} → {_watts(after.limit_watts)}"
    how = "set by somebody else" if before.enforced_watts is None else "put back as it was found"
    if after.enforced_watts is not None:
        how = ", ".join(part for part in ("read back from the board", after.how_soon) if part)
    return f"power limit {limits} on {after.node}, {how}"


def _watts(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f} W"
