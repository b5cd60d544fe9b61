"""``frugal estimate``: what one answer of a model would cost on kinds of hardware, by published figures.

The table, or JSON, goes to standard output. What must hold: every number is called an estimate, and a technology that
has no figure for what the model does gets none, with the reason. Exit statuses: 0 done, 1 the input cannot be used,
2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frugal.config import DEFAULT_DATA_DIR, TrainConfig
from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.estimate import Estimate, EstimateError, estimate, spiking_operations
from frugal.costs.technology import Technology
from frugal.errors import ConfigError
from frugal.subcommand import told

WIDTH_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
OUTSIDE = ("in-memory", "nvm-read", "dram")
"""Where a technology keeps weights, the first that it has; without any they are on the chip and their way is free."""
WEIGHTS = ("outside", "sram", "free")
REFLECTED = ("spiking", "pruning")
IN_RESULT = ("model", "data", "shape", "classes")
"""Options that ``--result`` answers itself."""
CLASSES = 10

_DESCRIPTION = """\
Estimate the energy of one inference on kinds of hardware: the model's operations and the bytes of its weights, times
published picojoules (docs/guide/hardware-estimates.md). Nothing here is measured."""

_EXAMPLES = """\
examples:
  frugal estimate --model cnn --data fashion-mnist
  frugal estimate --model cnn --shape 1x28x28 --classes 10 --precision int8 --technology 7nm-asic --sources
  frugal train --model cnn --with spiking,penalty=1 > result.json; frugal estimate --result result.json
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model whose answers are estimated.

    Attributes:
        name: In the table.
        operations: Of one answer, by kind.
        weight_bytes: All its weights together.
        width_bytes: One weight.
    """

    name: str
    operations: Mapping[str, float]
    weight_bytes: float
    width_bytes: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """A case on a technology: an estimate, or why there is none."""

    case: str
    technology: str
    estimate: Estimate | None
    reason: str = ""


def add_parser(subparsers: Any) -> None:
    """Add ``estimate`` to the command line."""
    defaults = TrainConfig()
    parser = subparsers.add_parser(
        "estimate",
        help="estimate the energy of an inference on other hardware",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("which model")
    # None where nothing was given: --result refuses what was.
    what.add_argument("--model", metavar="NAME", help=f"as for frugal train ({defaults.model})")
    what.add_argument("--data", metavar="NAME", help=f"whose inputs it takes ({defaults.data})")
    what.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, metavar="DIR", help="(%(default)s)")
    what.add_argument("--shape", metavar="CxHxW", help="of an input, instead of a data set's: 3x32x32")
    what.add_argument("--classes", type=int, metavar="N", help=f"with --shape ({CLASSES})")
    what.add_argument(
        "--result",
        metavar="FILE",
        help="the line of JSON that frugal train ended with (- for standard input): its model, pruned or spiking as "
        "its figures say, beside the dense one; instead of the options above but --data-dir",
    )
    how = parser.add_argument_group("how it runs")
    how.add_argument("--precision", default="fp32", choices=list(WIDTH_BYTES), help="of the dense model (%(default)s)")
    how.add_argument("--batch", type=int, default=1, metavar="N", help="answers that share one load of the weights (1)")
    how.add_argument(
        "--weights",
        default="outside",
        choices=WEIGHTS,
        help="outside: loaded once a batch from where the technology keeps them; sram: every operation reads its own "
        "from a cache of 1 MB, nothing is used twice; free: arithmetic alone, as if they lay where they are used "
        "(%(default)s)",
    )
    how.add_argument(
        "--technology", action="append", choices=list(TECHNOLOGIES), help="only this one; may be repeated (all)"
    )
    shown = parser.add_argument_group("output")
    shown.add_argument("--sources", action="store_true", help="also where figures are from, and what they leave out")
    shown.add_argument("--json", action="store_true", help="JSON with what each kind of operation contributes")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    return told("estimate", lambda: _estimate(arguments))


def _estimate(arguments: argparse.Namespace) -> int:
    cases = _cases(arguments)
    technologies = [TECHNOLOGIES[name] for name in arguments.technology or TECHNOLOGIES]
    rows = [row(case, technology, arguments.batch, arguments.weights) for technology in technologies for case in cases]
    if arguments.json:
        sys.stdout.write(as_json(cases, rows, technologies) + "\n")
    else:
        sys.stdout.write(as_table(cases, rows))
        if arguments.sources:
            sys.stdout.write("\n" + _sources(technologies))
    return 0


def row(case: Case, technology: Technology, batch: int, weights: str) -> Row:
    """``case`` on ``technology``; see ``--batch`` and ``--weights``."""
    bytes_moved: dict[str, float] = {}
    place = next((place for place in OUTSIDE if place in technology.bytes), None)
    if weights == "sram":
        bytes_moved["sram"] = case.width_bytes * _weighted(case.operations)
    elif weights == "outside" and place is not None:
        bytes_moved[place] = case.weight_bytes / batch
    try:
        found = estimate(case.operations, bytes_moved, technology)
    except EstimateError as error:
        return Row(case=case.name, technology=technology.name, estimate=None, reason=str(error))
    return Row(case=case.name, technology=technology.name, estimate=found)


def as_table(cases: Sequence[Case], rows: Sequence[Row]) -> str:
    """Technologies down, cases across, joules of one inference; reasons of gaps below."""
    by_place = {(row.technology, row.case): row for row in rows}
    names = list(dict.fromkeys(row.technology for row in rows))
    heads = ["ESTIMATE", *(case.name for case in cases), *(["saves"] if len(cases) > 1 else [])]
    lines = [heads]
    for name in names:
        found = [by_place[name, case.name].estimate for case in cases]
        lines.append([name, *("-" if one is None else _joules(one.joules) for one in found)])
        if len(cases) > 1:
            lines[-1].append(_saving(found[0], found[-1]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = ["energy of one inference, estimated from published figures; nothing here is measured"]
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        text.append("  ".join(cells))
    text += list(dict.fromkeys(f"- {row.reason}" for row in rows if row.estimate is None))
    return "".join(f"{line}\n" for line in text)


def as_json(cases: Sequence[Case], rows: Sequence[Row], technologies: Sequence[Technology]) -> str:
    """One object, with joules by kind of operation and the sources of the figures."""
    estimates = [
        {
            "technology": row.technology,
            "case": row.case,
            "estimated_joules": None if row.estimate is None else row.estimate.joules,
            "by_operation": None if row.estimate is None else row.estimate.operations,
            "by_byte": None if row.estimate is None else row.estimate.bytes,
            "reason": row.reason or None,
        }
        for row in rows
    ]
    return json.dumps(
        {
            "kind": "estimate",
            "cases": [asdict(case) for case in cases],
            "estimates": estimates,
            "technologies": [asdict(technology) for technology in technologies],
        }
    )


def _cases(arguments: argparse.Namespace) -> list[Case]:
    if arguments.batch < 1:
        raise ConfigError("batch", arguments.batch, "use a whole number of at least 1")
    if arguments.result is not None:
        for field in IN_RESULT:
            given = getattr(arguments, field)
            if given is not None:
                raise ConfigError(field, given, f"--result has its own: leave out --{field}, or leave out --result")
        return _cases_of_result(arguments)
    defaults = TrainConfig()
    return [_dense(arguments, arguments.model or defaults.model, arguments.data or defaults.data)]


def _dense(arguments: argparse.Namespace, name: str, data: str) -> Case:
    # torch comes with these, seconds later.
    from frugal import models
    from frugal.costs.operations import operations

    shape, classes = _inputs(arguments, data)
    model = models.build(name, shape, classes)
    weights = sum(parameter.numel() for parameter in model.parameters())
    width = WIDTH_BYTES[arguments.precision]
    return Case(
        name=f"{name} {arguments.precision}",
        operations=operations(model, shape, otherwise=arguments.precision),
        weight_bytes=weights * width,
        width_bytes=width,
    )


def _inputs(arguments: argparse.Namespace, data: str) -> tuple[tuple[int, int, int], int]:
    if arguments.shape is None:
        from frugal import data as datasets

        splits = datasets.load(data, arguments.data_dir)
        return splits.shape, splits.classes
    parts = arguments.shape.split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError("shape", arguments.shape, "write channels, height and width: 3x32x32")
    classes = CLASSES if arguments.classes is None else arguments.classes
    if classes < 1:
        raise ConfigError("classes", classes, "use a whole number of at least 1")
    channels, height, width = map(int, parts)
    return (channels, height, width), classes


def _cases_of_result(arguments: argparse.Namespace) -> list[Case]:
    result = _read_result(arguments.result)
    name, parameters, techniques = str(result["model"]), int(result["parameters"]), result["techniques"]
    ignored = [technique for technique in techniques if technique not in REFLECTED]
    if ignored:
        sys.stderr.write(f"not reflected in the estimates: {', '.join(ignored)}\n")
    width = WIDTH_BYTES[arguments.precision]
    if "spiking" in techniques:
        figures = techniques["spiking"]
        operations = spiking_operations(figures)
        macs = {f"mac-{arguments.precision}": float(figures["dense_macs"])}
        return [
            Case(
                name=f"{name} {arguments.precision}",
                operations=macs,
                weight_bytes=parameters * width,
                width_bytes=width,
            ),
            Case(name="spiking fp32", operations=operations, weight_bytes=parameters * 4, width_bytes=4),
        ]
    figures = techniques.get("pruning", {})
    if "flops_after" not in figures:
        return [_dense(arguments, name, str(result["data"]))]
    return [
        Case(
            name=f"{label} {arguments.precision}",
            operations={f"mac-{arguments.precision}": figures[f"flops_{when}"] / 2},
            weight_bytes=figures[f"parameters_{when}"] * width,
            width_bytes=width,
        )
        for label, when in ((name, "before"), ("pruned", "after"))
    ]


def _read_result(path: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        result = json.loads(text.strip().splitlines()[-1])
        result = {"techniques": {}} | result
        known = {key: result[key] for key in ("model", "data", "parameters", "techniques")}
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise ConfigError(
            "result", path, f"not the result of frugal train ({error}): save its standard output"
        ) from error
    return known


def _weighted(operations: Mapping[str, float]) -> float:
    """Operations that need a weight each."""
    return sum(count for kind, count in operations.items() if kind != "neuron-update")


def _joules(value: float) -> str:
    for prefix, factor in (("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}J"
    return f"{value / 1e-12:.3g} pJ"


def _saving(before: Estimate | None, after: Estimate | None) -> str:
    if before is None or after is None or not before.joules:
        return "-"
    return f"{100 * (1 - after.joules / before.joules):.1f} %"


def _sources(technologies: Sequence[Technology]) -> str:
    lines = []
    for technology in technologies:
        lines += [technology.name, f"  {technology.remarks}"]
        figures = {**technology.operations, **{f"byte from {place}": f for place, f in technology.bytes.items()}}
        lines += [f"  {kind}: {figure.picojoules:.4g} pJ; {figure.source}" for kind, figure in figures.items()]
    return "".join(f"{line}\n" for line in lines)
