"""A pod that holds a GPU, as everything in the agent speaks of it.

What must hold: one pod is one holder of a GPU, or of one MIG device of it, however often it was given out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """A pod that holds a GPU or a part of it; it is one holder however many time slices of a GPU it has.

    Attributes:
        mig_device: the MIG device that it holds; None for the whole GPU, or a slice of its time.
        slices: of the GPU's compute slices, those of its MIG device.
        slices_of_gpu: how many compute slices the GPU has.
    """

    pod_uid: str
    mig_device: str | None = None
    slices: int = 0
    slices_of_gpu: int = 0
