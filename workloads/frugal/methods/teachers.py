"""Teachers for distillation: a model of an earlier run, or one that is trained first within this run.

What must hold: the teacher is the same in every process and every attempt; getting one draws nothing from the run's
random streams; a stop request during its training is followed like any other, and the next attempt goes on there. A
teacher that cannot be rebuilt exactly as it was is refused, since a wrong one teaches without complaint.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from frugal import models, registry, rng
from frugal.checkpoint import BEST, decode, find_damage
from frugal.errors import TechniqueError
from frugal.technique import Stage, Technique

if TYPE_CHECKING:
    from frugal.run import Run

FOLDER = "teacher"


def obtain(run: Run, teacher: str, epochs: int) -> nn.Module:
    """The trained teacher on the run's device, in evaluation mode and without gradients.

    Args:
        run: Whose data the teacher fits; it need not have a model yet.
        teacher: A model's name, trained here for ``epochs`` on the run's training data, or a folder of checkpoints.
        epochs: Passes over the data for a teacher that is trained here.

    Raises:
        TechniqueError: The folder holds no teacher for this run.
        SystemExit: A stop request ended the teacher's training, whose checkpoint is saved.
    """
    streams = rng.capture()
    model = _trained(run, teacher, epochs) if teacher in models.MODELS else _loaded(run, Path(teacher))
    rng.restore(streams)
    return model.to(run.device).eval().requires_grad_(requires_grad=False)


def check(teacher: str) -> None:
    """Refuse a name that is neither a model's nor a folder's path.

    Raises:
        TechniqueError: Says what can be written.
    """
    if teacher not in models.MODELS and "/" not in teacher and not Path(teacher).is_dir():
        raise TechniqueError(
            f"distillation: teacher={teacher!r}: use a model ({', '.join(models.MODELS)}) to train one first, or the "
            "checkpoint folder of an earlier run"
        )


class _Kept(Technique):
    """Holds on to the trained model."""

    name = "kept-as-teacher"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.model: nn.Module | None = None

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.finish`."""
        self.model = model
        return model


def _trained(run: Run, name: str, epochs: int) -> nn.Module:
    """By the trainer itself: it resumes from a folder of its own, and shares the work out over the processes."""
    from frugal.trainer import Trainer

    folder = run.config.checkpoint_dir
    config = dataclasses.replace(
        run.config, model=name, epochs=epochs, checkpoint_dir=None if folder is None else folder / FOLDER
    )
    kept = _Kept()
    result = Trainer(config, [kept], data=run.data, signals=run.signals, world=run.world).train()
    if result.outcome == "interrupted":
        raise SystemExit(result.exit_status)
    assert kept.model is not None  # noqa: S101  # a completed run has been through `finish`
    return kept.model


def _loaded(run: Run, folder: Path) -> nn.Module:
    payload = run.world.from_main(_best(folder) if run.world.is_main else None)
    if payload is None:
        raise TechniqueError(
            f"distillation: teacher={str(folder)!r}: no sound {BEST} there: name the --checkpoint-dir of a run that "
            "finished an epoch"
        )
    snapshot = decode(payload)
    settings = snapshot["config"]
    if settings["data"] != run.config.data:
        raise TechniqueError(
            f"distillation: teacher={str(folder)!r}: it learned {settings['data']!r}, this run learns "
            f"{run.config.data!r}: train a teacher on the same --data"
        )
    model = models.build(settings["model"], run.data.shape, run.data.classes)
    for technique in _of_architecture(folder, snapshot["techniques"]):
        model = technique.build_model(run, model)
    try:
        model.load_state_dict(snapshot["model"])
    except RuntimeError as error:
        raise TechniqueError(
            f"distillation: teacher={str(folder)!r}: its weights do not fit the model {settings['model']!r} "
            f"({str(error).splitlines()[-1].strip()}): use a teacher whose shapes no technique changed"
        ) from error
    return model


def _best(folder: Path) -> bytes | None:
    """The run's best model; unlike opening a store, this needs no right to write there."""
    try:
        payload = (folder / BEST).read_bytes()
    except OSError:
        return None
    return payload if find_damage(payload) is None else None


def _of_architecture(folder: Path, identity: dict[str, dict[str, Any]]) -> list[Technique]:
    """What decided the teacher's layers, made again: weights alone do not tell one activation from another."""
    made = []
    for name, options in identity.items():
        if name == _Kept.name:
            continue
        spec = ",".join([name, *(f"{option}={value}" for option, value in options.items() if value is not None)])
        try:
            made.append(registry.create(spec))
        except TechniqueError as error:
            raise TechniqueError(
                f"distillation: teacher={str(folder)!r}: its technique {name!r} cannot be made again ({error}): "
                "use a teacher without it"
            ) from error
    return [technique for technique in made if technique.stage is Stage.ARCHITECTURE]
