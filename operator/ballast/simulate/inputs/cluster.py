"""The cluster of a simulation: a YAML list of node groups, as an admin would describe the machines to a colleague.

What must hold: a figure that nobody stated is never guessed. What a GPU model's boards are known for may be left out;
everything else is asked for by name. All that is wrong with a file is told at once.

Where the defaults come from:
    Limits of V100 and A40: the boards that were measured for the Zeus paper (NSDI 2023), 100 to 250 W and 100 to 300 W.
    Limits of A100 and H100: what ``nvidia-smi -q -d POWER`` shows of SXM boards, 100 to 400 W and 200 to 700 W. PCIe
        boards take less: state theirs.
    Least limit of K80 and P100: none that we could trace, so it is asked for.
    Highest limits of K80 and P100, idle watts of all but V100 and A40: `ballast.decide.gpu_models`, with its sources.
    Idle watts of V100 and A40: 33 W and 30 W, those of the experiment that ships with the simulator; that table says
        38 W and 32 W, with a spread of 30 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from ballast.api.base import ApiModel, Integer
from ballast.api.kinds import Problem
from ballast.api.operatingpoint import MAX_GPU_WATTS, MAX_GPUS_OF_NODE
from ballast.api.quantities import POWER, Watts, format_power
from ballast.decide.gpu_models import KNOWN_MODELS, gpu_model
from ballast.errors import UserError
from ballast.simulate.policy import SimNode

MAX_NODES_OF_GROUP = 100_000
_SHOWN = 80  # characters of a value in a message

_LEAST_LIMIT_WATTS = {"V100": 100.0, "A40": 100.0, "A100": 100.0, "H100": 200.0}
_IDLE_WATTS = {"V100": 33.0, "A40": 30.0}

_ASK_THE_BOARD = "write it as `nvidia-smi -q -d POWER` shows it"
_MISSING = {
    "name": "give the group a name, as v100: its nodes are v100-0, v100-1 and so on",
    "count": "write how many such nodes there are, as 4",
    "gpuModel": "write the GPU model, as V100 or what the label nvidia.com/gpu.product says",
    "gpus": "write how many GPUs each of these nodes has, as 8",
    "basePower": "write what a node draws without its GPUs while it is on, as 350W; its management controller tells",
}


class InvalidCluster(UserError):
    """A cluster file that says something impossible, or too little.

    Attributes:
        problems: Everything that is wrong with it; empty where it could not be read at all.
    """

    def __init__(self, source: str, problems: Sequence[Problem], message: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + (message or "; ".join(str(problem) for problem in problems)))


class NodeGroup(ApiModel):
    """Nodes of one kind."""

    name: Annotated[str, Field(max_length=50, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """The nodes' names begin with it."""
    count: Annotated[Integer, Field(ge=1, le=MAX_NODES_OF_GROUP)]
    """How many nodes."""
    gpu_model: Annotated[str, Field(min_length=1, max_length=63)]
    """Short name or product label: V100, NVIDIA-A100-SXM4-80GB."""
    gpus: Annotated[Integer, Field(ge=1, le=MAX_GPUS_OF_NODE)]
    """Of each node."""
    min_power_limit: Watts | None = None
    """Least power limit of one GPU; may be left out where the model is known for it."""
    max_power_limit: Watts | None = None
    """Highest power limit of one GPU, which is also the default; likewise."""
    idle_power: Watts | None = None
    """Of one GPU on which nothing runs; likewise."""
    base_power: Watts
    """Of a node without its GPUs, while it is on."""


_GROUPS = TypeAdapter(list[NodeGroup])


@dataclass(frozen=True, slots=True)
class _Known:
    """What a GPU model is known for; None is asked for."""

    name: str
    min_limit_watts: float | None
    max_limit_watts: float | None
    idle_watts: float | None


def read_cluster(path: Path) -> tuple[SimNode, ...]:
    """Read a cluster file.

    Args:
        path: A YAML list of node groups; `write_example` shows one.

    Returns:
        The nodes, in the file's order: ``v100-0``, ``v100-1``…

    Raises:
        InvalidCluster: It can't be read, or something in it is wrong: names field, value and remedy of each problem.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidCluster(
            str(path), (), f"{error.strerror or error}: name a cluster file; --example-cluster prints one"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidCluster(str(path), (), f"{error}: write the cluster file in UTF-8") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidCluster(str(path), (), f"is no YAML: {' '.join(str(error).split())}") from error
    return nodes_of(read_groups(document, str(path)), str(path))


def read_groups(document: object, source: str) -> list[NodeGroup]:
    """Read node groups from what YAML made of them.

    Args:
        document: A list of mappings.
        source: What to name in errors.

    Raises:
        InvalidCluster: Something in it is wrong.
    """
    if not isinstance(document, list) or not document:
        found = "nothing" if document is None or document == [] else type(document).__name__
        raise InvalidCluster(
            source, (), f"must be a list of node groups, and holds {found}: --example-cluster prints one"
        )
    try:
        return _GROUPS.validate_python(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidCluster(source, tuple(_retold(error, document))) from error


def nodes_of(groups: Sequence[NodeGroup], source: str = "cluster") -> tuple[SimNode, ...]:
    """The nodes of groups, with what their GPU models are known for filled in.

    Args:
        groups: At least one.
        source: What to name in errors.

    Raises:
        InvalidCluster: A name stands twice, a figure is missing that no table knows, or figures contradict each other.
    """
    problems: list[Problem] = []
    nodes: list[SimNode] = []
    seen: set[str] = set()
    for index, group in enumerate(groups):
        if group.name in seen:
            problems.append(Problem(f"[{index}].name", repr(group.name), "two groups have this name: rename one"))
        seen.add(group.name)
        known = _known(group.gpu_model)
        idle = _stated(group.idle_power, known.idle_watts)
        least = _stated(group.min_power_limit, known.min_limit_watts)
        highest = _stated(group.max_power_limit, known.max_limit_watts)
        if idle is None or least is None or highest is None:
            wanted = {"minPowerLimit": least, "maxPowerLimit": highest, "idlePower": idle}
            problems += [
                Problem(f"{group.name}.{field}", "", f"no figure is known for {known.name}: {_ASK_THE_BOARD}")
                for field, watts in wanted.items()
                if watts is None
            ]
            continue
        problems += _contradictions(group, idle, least, highest)
        base = float(group.base_power)
        nodes += [
            SimNode(f"{group.name}-{number}", known.name, group.gpus, least, highest, idle, base)
            for number in range(group.count)
        ]
    if problems:
        raise InvalidCluster(source, problems)
    return tuple(nodes)


def write_example() -> str:
    """A cluster file that can be read back, with comments that say what each field is."""
    return """\
# A cluster for `ballast simulate --cluster`: a list of node groups. Power is of one GPU, or of a node without its GPUs.
- name: v100              # the nodes are v100-0 to v100-3
  count: 4
  gpuModel: V100          # a short name, or what the label nvidia.com/gpu.product says
  gpus: 8                 # of each node
  basePower: 350W         # a node without its GPUs, while it is on
- name: a40
  count: 4
  gpuModel: A40
  gpus: 8
  minPowerLimit: 100W     # `nvidia-smi -q -d POWER` shows it; known for V100, A40, and the SXM boards of A100 and H100
  maxPowerLimit: 300W     # likewise; it is also the default
  idlePower: 30W          # a GPU on which nothing runs
  basePower: 350W
"""


def _known(product: str) -> _Known:
    model = gpu_model(product)
    if model not in KNOWN_MODELS:
        return _Known(product, None, None, None)
    idle = _IDLE_WATTS.get(model.name, model.idle_watts)
    return _Known(model.name, _LEAST_LIMIT_WATTS.get(model.name), model.max_watts, idle)


def _stated(written: Decimal | None, known: float | None) -> float | None:
    return known if written is None else float(written)


def _contradictions(group: NodeGroup, idle: float, least: float, highest: float) -> Iterator[Problem]:
    """What the figures of one group say against each other, written or not."""
    if least > highest:
        remedy = f"must be at most maxPowerLimit, which is {format_power(highest)}: swap or correct them"
        yield Problem(f"{group.name}.minPowerLimit", POWER.format(least), remedy)
    if idle >= least:
        remedy = f"must be below minPowerLimit, which is {format_power(least)}: a GPU never draws less than when idle"
        yield Problem(f"{group.name}.idlePower", POWER.format(idle), remedy)
    if highest > MAX_GPU_WATTS:
        remedy = f"must be at most {format_power(MAX_GPU_WATTS)}: it is of one GPU"
        yield Problem(f"{group.name}.maxPowerLimit", POWER.format(highest), remedy)


def _retold(error: ValidationError, document: list[Any]) -> Iterator[Problem]:
    """Pydantic's findings, each with the group's name where it has one, and a remedy."""
    for detail in error.errors(include_url=False):
        index, *path = detail["loc"]
        group = document[index] if isinstance(index, int) else None
        name = group.get("name") if isinstance(group, dict) else None
        whose = name if isinstance(name, str) and path[:1] != ["name"] else f"[{index}]"
        field = ".".join([whose, *(str(part) for part in path)])
        if detail["type"] == "missing":
            yield Problem(field, "", _MISSING.get(str(path[-1]), "is missing: write it"))
            continue
        value = repr(detail["input"])
        shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        yield Problem(field, shown, _remedy(detail["type"], detail["msg"]))


def _remedy(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        fields = ", ".join(info.alias or name for name, info in NodeGroup.model_fields.items())
        return f"unknown field: remove it, or spell it as one of {fields}"
    if kind == "model_type":
        return "must be a node group, with name, count, gpuModel, gpus and basePower"
    if kind == "string_pattern_mismatch":
        return "must be lower-case letters, digits and '-' between them"
    return message.removeprefix("Value error, ")
