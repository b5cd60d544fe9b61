"""Labels and annotations by which Ballast's objects are found; written by `act`, read by `observe` and by people."""

from __future__ import annotations

JOB_LABEL = "ballast.dev/trainingjob"
"""The TrainingJob's name, on its Job, Service and pods."""

JOB_UID_LABEL = "ballast.dev/trainingjob-uid"
"""Its UID: a new job of the same name is another job."""

ATTEMPT_LABEL = "ballast.dev/attempt"
"""The attempt's number, from 1."""

COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
"""The pod's index in its gang; Kubernetes sets it as label and annotation."""

GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
"""A node's GPU model, set by NVIDIA's GPU feature discovery."""

GPU_COUNT_LABEL = "nvidia.com/gpu.count"
"""How many of a node's GPUs are of that model, set likewise; fewer than the node has where models are mixed."""

GPU_REPLICAS_LABEL = "nvidia.com/gpu.replicas"
"""How many pods share one of them by time-slicing, set likewise."""

GPU_MODEL = "ballast.dev/gpu-model"
"""A node's GPU model as its agent found it; `MIXED_GPUS` if they are of several."""

GPU_COUNT = "ballast.dev/gpu-count"
"""How many GPUs a node's agent found."""

NODE_LABELS = (GPU_MODEL, GPU_COUNT)
"""What the operator copies from a NodePower to its node."""

EMPTY = "ballast.dev/empty"
"""On a node that has been empty for a while, with the value "true"; absent on all others."""

EMPTY_CONDITION = "ballast.dev/Empty"
"""The type of the node's condition that goes with it."""

MIXED_GPUS = "mixed"
