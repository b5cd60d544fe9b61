"""The rows of the survey's Table 1 as data: what is claimed, what we aim for, and which cases stand for each row.

The table is that of the survey of energy optimization for AI which Ballast grew out of. Only its figures are here, as
the survey states them: percent of the energy without the technique, most of them upper bounds. The first case of a row
is its headline, on which claim and aim are judged first; it is named here, before the table's seeds are run, so that no
case is picked for its result. Options were chosen on seeds from 100 on, which no table uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from frugal.bench.records import Phase

ACCURACY_MARGIN_POINTS = 1.0  # an aim counts only if accuracy falls no further below the paired baseline's

PLAIN, LONG, WIDE, TEACHER, CNN, GELU = "plain", "long", "wide", "teacher", "cnn", "gelu"


class Source(StrEnum):
    """Where a row's figure comes from."""

    TRIALS = "trials"
    COST_MODEL = "the cost model"
    SEARCH = "the architecture search"
    SWEEP = "the operating-point sweep"
    SIMULATOR = "the simulator's benchmark"


class Basis(StrEnum):
    """What kind of figure an aim asks for."""

    MEASURED = "measured, else estimated"
    OPERATIONS = "estimate"
    SIMULATED = "simulated NVML"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the survey says of a technique's saving.

    Attributes:
        most_percent: It saves up to this much.
        above_percent: It saves more than this.
        variable: It saves, but no figure is given.
    """

    most_percent: float | None = None
    above_percent: float | None = None
    variable: bool = False

    def __str__(self) -> str:
        if self.most_percent is not None:
            return f"≤ {self.most_percent:g} %"
        if self.above_percent is not None:
            return f"> {self.above_percent:g} %"
        return "variable" if self.variable else "none"

    @property
    def percent(self) -> float | None:
        """The figure, if there is one."""
        return self.above_percent if self.most_percent is None else self.most_percent


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What we set out to reach, with accuracy no more than `ACCURACY_MARGIN_POINTS` below the paired baseline's.

    Attributes:
        percent: Saving that the mean over seeds has to reach.
        above: It has to be more than that, not equal.
        basis: From which kind of figure.
    """

    percent: float
    above: bool = False
    basis: Basis = Basis.MEASURED

    def __str__(self) -> str:
        text = f"{'>' if self.above else '≥'} {self.percent:g} %"
        return text if self.basis is Basis.MEASURED else f"{text} ({self.basis.value})"

    def reached(self, saving_percent: float) -> bool:
        """Whether a saving is enough."""
        return saving_percent > self.percent if self.above else saving_percent >= self.percent


@dataclass(frozen=True, kw_only=True)
class Base:
    """A plain training that variants are paired with.

    Attributes:
        name: Of its case; bases of one name are one case.
        model: As after ``--model``.
        techniques: Specs that are part of the baseline: which network it is.
        epochs_factor: Times the plan's epochs.
        lr: Of it and what is paired with it; None for the plan's. Networks that learn too little in the plan's epochs
            would be beaten by whatever learns faster.
    """

    name: str
    model: str
    techniques: tuple[str, ...] = ()
    epochs_factor: int = 1
    lr: float | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One case of a row.

    Attributes:
        name: In the table, after the row's.
        base: Which baseline it is paired with: a key of `SETUPS`' bases.
        techniques: Specs that a user adds after ``--with``; what stands in {braces} is the setup's.
        instead: Specs in the place of the baseline's own; None keeps them.
        phase: Where it is not judged in its row's.
        devices: Where it can run.
    """

    name: str
    base: str
    techniques: tuple[str, ...] = ()
    instead: tuple[str, ...] | None = None
    phase: Phase | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Which networks stand for the roles that variants name.

    Attributes:
        bases: By role.
        words: What stands for {braces} in the specs of variants; {epochs} is the plan's.
    """

    bases: Mapping[str, Base]
    words: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One technique of the survey.

    Attributes:
        key: For ``--only``.
        technique: As the table names it.
        phase: In which it is judged; None where neither is.
        claim: The survey's.
        aim: Ours, if we set one.
        source: Where its figure comes from.
        variants: The cases that stand for it, the headline first.
        missing: What it takes to get a figure, where no trial gives one; goes on after the source's name.
    """

    key: str
    technique: str
    phase: Phase | None
    claim: Claim = field(default_factory=Claim)
    aim: Aim | None = None
    source: Source = Source.TRIALS
    variants: tuple[Variant, ...] = ()
    missing: str = ""


_SMALL = "architecture,widths=8-16-32,strides=2-2-1"
_SMALL_LR = 0.01
_LARGE = "architecture,widths=64-128-256,strides=1-2-2"
_LARGE_BASE = Base(name="cnn", model="cnn", techniques=(_LARGE,))

SETUPS = {
    "cpu": Setup(
        bases={
            PLAIN: Base(name="mlp", model="mlp"),
            LONG: Base(name="mlp, three times as long", model="mlp", epochs_factor=3),
            WIDE: Base(name="wide mlp", model="mlp-wide"),
            TEACHER: Base(name="wide mlp", model="mlp-wide"),
            CNN: Base(name="cnn", model="cnn", techniques=(_SMALL,), lr=_SMALL_LR),
            GELU: Base(name="cnn with GELU", model="cnn", techniques=(_SMALL, "activation,kind=gelu"), lr=_SMALL_LR),
        },
        words={
            "cnn": _SMALL,
            "narrow": "architecture,widths=4-8-16,strides=2-2-1",
            "teacher": "mlp-wide",
            "student": "architecture,kind=mlp,widths=128-64",
            "fewer_bits": "quantization",
        },
    ),
    "cuda": Setup(
        bases={
            PLAIN: _LARGE_BASE,
            LONG: Base(name="cnn, three times as long", model="cnn", techniques=(_LARGE,), epochs_factor=3),
            WIDE: _LARGE_BASE,
            TEACHER: Base(name="EfficientNet-B0", model="efficientnet-b0"),
            CNN: _LARGE_BASE,
            GELU: Base(name="cnn with GELU", model="cnn", techniques=(_LARGE, "activation,kind=gelu")),
        },
        words={
            "cnn": _LARGE,
            "narrow": "architecture,widths=32-64-128,strides=1-2-2",
            "teacher": "efficientnet-b0",
            "student": _LARGE,
            "fewer_bits": "quantization,kind=bf16",
        },
    ),
}
"""By device. A CPU's networks are small enough for all trainings to end in minutes."""

VARIABLE = Claim(variable=True)

_DISTILLED = "distillation,teacher={teacher},teacher_epochs={epochs},weight=0.5,temperature=2"
"""A short training learns less from softer answers, or from fewer labels."""

ROWS = (
    Row(
        key="pruning",
        technique="Model pruning",
        phase=Phase.INFERENCE,
        claim=Claim(most_percent=30),
        aim=Aim(percent=30),
        variants=(
            Variant(name="half of the units", base=WIDE, techniques=("pruning,structure=channels,sparsity=0.5",)),
            Variant(name="80 % of the weights", base=WIDE, techniques=("pruning,sparsity=0.8",)),
            Variant(name="2:4 pattern", base=WIDE, techniques=("pruning,structure=2:4",), devices=("cuda",)),
        ),
    ),
    Row(
        key="quantization",
        technique="Quantization",
        phase=Phase.INFERENCE,
        claim=Claim(most_percent=50),
        aim=Aim(percent=50),
        variants=(
            Variant(name="int8, static", base=WIDE, techniques=("quantization",), devices=("cpu",)),
            Variant(name="int8, dynamic", base=WIDE, techniques=("quantization,kind=dynamic",), devices=("cpu",)),
            Variant(name="int8, static, cnn", base=CNN, techniques=("quantization",), devices=("cpu",)),
            Variant(name="bf16 weights", base=WIDE, techniques=("quantization,kind=bf16",), devices=("cuda",)),
            Variant(name="bf16 training", base=WIDE, techniques=("amp",), phase=Phase.TRAINING),
            Variant(name="fp8 training", base=WIDE, techniques=("fp8",), phase=Phase.TRAINING, devices=("cuda",)),
        ),
    ),
    Row(
        key="distillation",
        technique="Knowledge distillation",
        phase=Phase.INFERENCE,
        aim=Aim(percent=50),
        variants=(
            Variant(
                name="small student",
                base=TEACHER,
                instead=("{student}",),
                techniques=(_DISTILLED,),
            ),
        ),
    ),
    Row(
        key="accumulation",
        technique="Gradient accumulation",
        phase=Phase.TRAINING,
        claim=VARIABLE,
        variants=(Variant(name="4 micro-batches", base=PLAIN, techniques=("accumulation,micro_batches=4",)),),
    ),
    Row(
        key="optimizers",
        technique="Optimizers",
        phase=Phase.TRAINING,
        variants=(
            Variant(name="momentum", base=PLAIN, techniques=("optimizer,kind=momentum,lr=0.05",)),
            Variant(name="Nadam", base=PLAIN, techniques=("optimizer,kind=nadam",)),
            Variant(name="Adafactor", base=PLAIN, techniques=("optimizer,kind=adafactor,lr=0.02",)),
        ),
    ),
    Row(
        key="early-stopping",
        technique="Early stopping",
        phase=Phase.TRAINING,
        claim=VARIABLE,
        variants=(Variant(name="patience 2", base=LONG, techniques=("early-stopping,patience=2,min_delta=0.003",)),),
    ),
    Row(
        key="augmentation",
        technique="Data augmentation",
        phase=Phase.TRAINING,
        claim=VARIABLE,
        variants=(
            Variant(name="shift and erase", base=PLAIN, techniques=("augmentation",)),
            Variant(name="MixUp", base=PLAIN, techniques=("mixup",), devices=("cuda",)),
        ),
    ),
    Row(
        key="dataset-reduction",
        technique="Dataset reduction",
        phase=Phase.TRAINING,
        claim=Claim(most_percent=40),
        aim=Aim(percent=40),
        variants=(
            Variant(name="EL2N, hardest 40 %", base=PLAIN, techniques=("scores,warmup_epochs=1,share=0.4",)),
            Variant(name="InfoBatch", base=PLAIN, techniques=("infobatch,probability=0.7",)),
            Variant(
                name="k-center, half",
                base=PLAIN,
                techniques=("coreset,method=k-center,share=0.5,features=proxy,proxy_epochs=1",),
            ),
            Variant(name="random half", base=PLAIN, techniques=("coreset,method=random,share=0.5",)),
        ),
    ),
    Row(
        key="activations",
        technique="Activations",
        phase=Phase.INFERENCE,
        variants=(
            Variant(name="ReLU instead of GELU", base=GELU, instead=("{cnn}",)),
            Variant(name="sparse: top tenth", base=CNN, techniques=("activation,kind=top-k,keep=0.1",)),
        ),
    ),
    Row(
        key="architectures",
        technique="Efficient architectures",
        phase=Phase.INFERENCE,
        variants=(
            Variant(name="separable convolutions", base=CNN, instead=("{cnn},separable=true",)),
            Variant(name="fewer channels", base=CNN, instead=("{narrow}",), devices=("cuda",)),
        ),
    ),
    Row(
        key="search",
        technique="Architecture search, hardware-aware design",
        phase=Phase.INFERENCE,
        source=Source.SEARCH,
        missing="whose Pareto front has energy as an objective: frugal search architecture, then --search FILE here",
    ),
    Row(
        key="compilers",
        technique="Compilers",
        phase=Phase.INFERENCE,
        variants=(
            Variant(name="torch.compile", base=CNN, techniques=("compile",)),
            Variant(name="channels-last", base=CNN, techniques=("channels-last",)),
            Variant(name="CUDA graphs", base=CNN, techniques=("compile,mode=reduce-overhead",), devices=("cuda",)),
        ),
    ),
    Row(
        key="spiking",
        technique="Neuromorphic, spiking",
        phase=Phase.INFERENCE,
        claim=Claim(above_percent=60),
        aim=Aim(percent=60, above=True, basis=Basis.OPERATIONS),
        variants=(
            Variant(
                name="rate coding, 10 steps, 75 % of synapses pruned",
                base=PLAIN,
                techniques=("spiking,coding=rate,steps=10", "pruning,sparsity=0.75"),
                devices=("cpu",),
            ),
            Variant(
                name="rate coding, 4 steps",
                base=PLAIN,
                techniques=("spiking,coding=rate,steps=4,penalty=1",),
                devices=("cuda",),
            ),
            Variant(
                name="direct coding, 4 steps",
                base=CNN,
                techniques=("spiking,steps=4,penalty=1",),
                devices=("cuda",),
            ),
        ),
    ),
    Row(
        key="hardware",
        technique="ASIC and FPGA, near-memory, non-volatile memory",
        phase=Phase.INFERENCE,
        source=Source.COST_MODEL,
        missing="for a network whose answers are measured: run a row of inference beside it (or frugal estimate)",
    ),
    Row(
        key="dvfs",
        technique="Dynamic voltage and frequency scaling",
        phase=Phase.TRAINING,
        claim=Claim(most_percent=20),
        aim=Aim(percent=20, basis=Basis.SIMULATED),
        source=Source.SWEEP,
        missing="over power limits or clocks of a GPU that permits it: frugal sweep --json, then --sweep FILE here",
    ),
    Row(
        key="scheduling",
        technique="Energy-aware scheduling",
        phase=None,
        claim=VARIABLE,
        source=Source.SIMULATOR,
        missing="of policies on a trace of jobs: ballast simulate, then --simulation DIR/results.json here",
    ),
    Row(
        key="stack",
        technique="Best stack",
        phase=Phase.INFERENCE,
        aim=Aim(percent=80),
        variants=(
            # What `frugal search stack` found (docs/guide/search.md): by 45 nm picojoules, seed 100, 60 designs.
            Variant(
                name="smaller, half pruned, distilled, in 8 bits",
                base=TEACHER,
                instead=("architecture,kind=mlp,widths=256-128",),
                techniques=(
                    "activation,kind=hardswish",
                    "pruning,structure=channels,sparsity=0.5,begin=0.1,end=0.6",
                    _DISTILLED,
                    "quantization,kind=dynamic",
                ),
                devices=("cpu",),
            ),
            Variant(
                name="distilled, in fewer bits",
                base=TEACHER,
                instead=("{student}",),
                techniques=(_DISTILLED, "{fewer_bits}"),
            ),
        ),
    ),
)
