"""What a search chooses from. A design is the words of ``--with``, so that whatever was found can be trained by them.

An architecture is drawn layer by layer, widths as powers of two. A stack takes one choice, which may be none, from each
slot; what a slot offers depends on the phase that shall become cheap, and on the techniques that are installed. Choices
of different slots may exclude each other, and all slots may stay empty: nothing here knows what cannot be tried
(`BenchObjective.check` does).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from frugal.bench.records import Phase

if TYPE_CHECKING:
    from optuna import Trial

Design = tuple[str, ...]
"""Techniques as ``--with`` names them; empty for plain training. `EPOCHS` in them stands for the run's own epochs."""

EPOCHS = "{epochs}"

OFF = ""
CNN = "cnn"
MLP = "mlp"


class Space(Protocol):
    """What a search draws its designs from."""

    def draw(self, trial: Trial) -> Design:
        """The design that ``trial``'s sampler proposes."""
        ...

    def describe(self) -> Mapping[str, object]:
        """All that decides what is drawn, as plain values: a study goes on only in the same space."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpace:
    """Networks of `frugal.techniques.architecture`.

    Attributes:
        kinds: cnn, mlp or both.
        layers: The most hidden layers.
        channels: Fewest and most channels of a convolution, as exponents of two.
        units: The same for a hidden layer of an mlp.
        kernels: Edges of filters.
        activations: Functions between the layers.
    """

    kinds: tuple[str, ...] = (CNN, MLP)
    layers: int = 4
    channels: tuple[int, int] = (2, 6)
    units: tuple[int, int] = (3, 8)
    kernels: tuple[int, ...] = (3, 5)
    activations: tuple[str, ...] = ("relu", "hardswish", "silu")

    def draw(self, trial: Trial) -> Design:
        """See `Space.draw`."""
        kind = trial.suggest_categorical("kind", list(self.kinds))
        layers = trial.suggest_int(f"{kind}.layers", 1, self.layers)
        least, most = self.channels if kind == CNN else self.units
        widths = [2 ** trial.suggest_int(f"{kind}.width{layer}", least, most) for layer in range(layers)]
        words = ["architecture", f"kind={kind}", "widths=" + "-".join(map(str, widths))]
        if kind == CNN:
            strides = [trial.suggest_int(f"cnn.stride{layer}", 1, 2) for layer in range(layers)]
            words.append("strides=" + "-".join(map(str, strides)))
            words.append(f"kernel={trial.suggest_categorical('cnn.kernel', list(self.kernels))}")
            if layers > 1:  # alone, a layer is the first one, which is never separable
                words.append(f"separable={str(trial.suggest_categorical('cnn.separable', [False, True])).lower()}")
        words.append(f"activation={trial.suggest_categorical('activation', list(self.activations))}")
        return (",".join(words),)

    def describe(self) -> Mapping[str, object]:
        """See `Space.describe`."""
        return {
            "kinds": list(self.kinds),
            "layers": self.layers,
            "channels": list(self.channels),
            "units": list(self.units),
            "kernels": list(self.kernels),
            "activations": list(self.activations),
        }


@dataclass(frozen=True, kw_only=True)
class StackSpace:
    """Combinations: one choice from each slot.

    Attributes:
        slots: By name, what can be put there; `OFF` leaves the slot empty.
    """

    slots: Mapping[str, Sequence[str]]

    def draw(self, trial: Trial) -> Design:
        """See `Space.draw`."""
        chosen = [trial.suggest_categorical(name, list(choices)) for name, choices in self.slots.items()]
        return tuple(choice for choice in chosen if choice != OFF)

    def describe(self) -> Mapping[str, object]:
        """See `Space.describe`."""
        return {name: list(choices) for name, choices in self.slots.items()}


_ARCHITECTURES = (
    "architecture,kind=cnn,widths=8-16-32,strides=1-2-1",
    "architecture,kind=cnn,widths=8-16-32,strides=2-2-1",
    "architecture,kind=cnn,widths=16-32-64,strides=2-2-1",
    "architecture,kind=cnn,widths=16-32-64,strides=2-2-1,separable=true",
    "architecture,kind=mlp,widths=32",
    "architecture,kind=mlp,widths=64-32",
    "architecture,kind=mlp,widths=128-64",
    "architecture,kind=mlp,widths=256-128",
)
_PRUNING = tuple(f"pruning,structure=channels,sparsity={share},begin=0.1,end=0.6" for share in ("0.3", "0.5", "0.7"))
_ACTIVATION = ("activation,kind=leaky-relu", "activation,kind=hardswish")
# Integer kernels answer on the CPU, so on a GPU they would be compared with something else.
_EIGHT_BITS = tuple(f"quantization,kind={kind}" for kind in ("static", "qat", "dynamic"))
_SIXTEEN_BITS = ("quantization,kind=bf16", "quantization,kind=fp16")
_EXAMPLES = ("coreset,method=k-center,share=0.5", "coreset,method=herding,share=0.5", "infobatch,probability=0.5")


def specs(design: Design, epochs: int) -> Design:
    """The design as it is trained for ``epochs``: a teacher learns as long as its student."""
    return tuple(spec.replace(EPOCHS, str(epochs)) for spec in design)


def stack_space(
    phase: Phase, *, model: str, installed: Collection[str], gpu: bool, leave_out: Collection[str] = ()
) -> StackSpace:
    """The slots for a search that makes ``phase`` cheap.

    Args:
        phase: What shall cost less.
        model: The plain model, which is also distillation's teacher.
        installed: Techniques that exist.
        gpu: Whether the search runs on one; compilers and 16 bits are worth their cost there.
        leave_out: Techniques that shall not be tried.
    """
    slots: dict[str, Sequence[str]] = {
        "architecture": _ARCHITECTURES,
        "activation": _ACTIVATION,
        "pruning": _PRUNING,
        "distillation": (
            f"distillation,teacher={model},teacher_epochs={EPOCHS},weight=0.5,temperature=2",
            f"distillation,teacher={model},teacher_epochs={EPOCHS},weight=0.9,temperature=4",
        ),
        "quantization": _SIXTEEN_BITS if gpu else _EIGHT_BITS,
        "channels-last": ("channels-last",),
    }
    if phase is Phase.TRAINING:
        slots["examples"] = _EXAMPLES
        slots["early-stopping"] = ("early-stopping,patience=2",)
    if gpu:
        slots["amp"] = ("amp,dtype=bf16",)
        slots["compile"] = ("compile",)
    wanted = {technique for technique in installed if technique not in leave_out}
    offered = {
        name: [OFF, *(choice for choice in choices if choice.split(",")[0] in wanted)]
        for name, choices in slots.items()
    }
    return StackSpace(slots={name: choices for name, choices in offered.items() if len(choices) > 1})
