"""The training loop: one for every technique, in one process or many.

Between two steps the run is whole: there, and only there, stop requests are looked at, checkpoints made and epochs
ended. With several processes each of these is decided together, so that all stop after the same step. A step learns
from the same examples however many processes share it, and its gradient is the mean over all of them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from frugal import data as datasets
from frugal import models, rng, snapshot
from frugal.checkpoint import CheckpointStore, decode
from frugal.composition import Composition
from frugal.config import TrainConfig
from frugal.cpu import available_cpus, thread_count
from frugal.data import DataSplits
from frugal.distributed import World, choose_device, joined
from frugal.errors import DataError
from frugal.evaluation import evaluate, evaluate_deployed
from frugal.progress import ProgressSink, Reporter
from frugal.results import TrainingResult
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Batch, Evaluation, Technique

log = logging.getLogger(__name__)

_GO_ON = 0
_ENOUGH = 1  # a technique asked to stop; any greater number is the signal that did


class Trainer:
    """Trains one model.

    Args:
        config: What to train.
        techniques: What to do differently from plain training.
        data: Examples to use instead of the data set that ``config`` names.
        sinks: Who is told about the progress.
        signals: Where stop requests arrive; without it nothing interrupts the run.
        world: This process's place; as torchrun says, by default.

    Raises:
        ConfigError: A setting cannot be used.
        TechniqueError: Techniques exclude each other.
    """

    def __init__(
        self,
        config: TrainConfig,
        techniques: Sequence[Technique] = (),
        *,
        data: DataSplits | None = None,
        sinks: Sequence[ProgressSink] = (),
        signals: StopSignals | None = None,
        world: World | None = None,
    ) -> None:
        self._config = config
        self._techniques = Composition(techniques)
        self._techniques.check(config)
        self._data = data
        self._sinks = sinks
        self._signals = signals or StopSignals()
        self._world = world or World.from_environment()

    def train(self) -> TrainingResult:
        """Train to the end, or to the first stop request.

        Raises:
            FrugalError: Data, checkpoint or configuration are not usable; the message says what to do.
        """
        device = choose_device(self._config.device, self._world)
        self._prepare_torch()
        with joined(self._world, device) as world:
            run = self._build(world, device)
            store = self._open_store(world)
            resumed_from = self._resume(run, store) if self._config.resume else 0
            run.techniques.start(run)
            loop = _Loop(run, Reporter(run, self._sinks), store, self._signals)
            log.info(
                "training",
                extra={
                    "fields": {
                        "data": self._config.data,
                        "model": self._config.model,
                        "device": str(device),
                        "processes": world.size,
                        "rank": world.rank,
                        "threads": torch.get_num_threads(),
                        "step": run.step,
                        "total_steps": run.total_steps,
                    }
                },
            )
            return loop.run_to_end(resumed_from)

    def _prepare_torch(self) -> None:
        threads = self._config.threads or thread_count(self._world.local_size, available_cpus())
        torch.set_num_threads(threads)
        if self._config.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
            torch.use_deterministic_algorithms(mode=True)

    def _build(self, world: World, device: torch.device) -> Run:
        config = self._config
        rng.seed_all(config.seed)
        data = self._data or datasets.load(config.data, config.data_dir)
        if not (len(data.train) and len(data.validation)):
            raise DataError(
                f"data {config.data!r}: {len(data.train)} examples to train and {len(data.validation)} to validate: "
                "use a set with more examples of each class"
            )
        run = Run(
            config=config, world=world, device=device, techniques=self._techniques, data=data, signals=self._signals
        )
        run.data = run.techniques.prepare_data(run, data)
        rng.seed_all(config.seed)  # again: the initial weights shall not depend on what preparing the data drew
        model = models.build(config.model, run.data.shape, run.data.classes)
        run.install_model(run.techniques.build_model(run, model))
        rng.seed_all(config.seed, world.rank)
        return run

    def _open_store(self, world: World) -> CheckpointStore | None:
        if self._config.checkpoint_dir is None or not world.is_main:
            return None
        return CheckpointStore(self._config.checkpoint_dir)

    def _resume(self, run: Run, store: CheckpointStore | None) -> int:
        """Only the main process needs the volume; the others get the bytes from it."""
        payload = run.world.from_main(None if store is None else store.latest())
        if payload is None:
            return 0
        snapshot.restore(run, decode(payload))
        if run.world.is_main:
            log.info("resumed", extra={"fields": {"step": run.step, "epoch": run.epoch}})
        return run.step


class _Loop:
    """Epochs, steps, and what happens between them."""

    def __init__(self, run: Run, reporter: Reporter, store: CheckpointStore | None, signals: StopSignals) -> None:
        self._run = run
        self._reporter = reporter
        self._store = store
        self._signals = signals
        self._saved_step = -1

    def run_to_end(self, resumed_from: int) -> TrainingResult:
        """Every epoch that is left, then the final evaluation."""
        run = self._run
        validation = None
        while run.epoch < run.config.epochs and run.stop_reason is None:
            signum = self._train_epoch()
            if signum is None:
                validation = self._end_epoch()
                signum = self._agree()
            if signum is not None:
                self._save()
                self._reporter.report()
                if run.world.is_main:
                    log.warning("interrupted", extra={"fields": {"signal": signum, "step": run.step}})
                return self._result("interrupted", resumed_from, signum=signum, validation=validation)
        # From here on the work is done: a signal can no longer make it undone.
        self._save()
        return self._deploy(resumed_from, validation)

    def _train_epoch(self) -> int | None:
        """The steps that are left of the current epoch; the signal that broke it off, if one did."""
        run = self._run
        if run.order is None:
            run.order = run.techniques.epoch_order(
                run, rng.epoch_order(len(run.data.train), run.config.seed, run.epoch)
            )
        run.model.train()
        while run.step_in_epoch < run.steps_per_epoch:
            begin = run.step_in_epoch * run.config.batch_size
            self._reporter.resume()
            self._step(run.order[begin : begin + run.config.batch_size])
            signum = self._agree()
            if signum is not None:
                return signum
            if run.step % run.config.report_every == 0:
                self._reporter.report()
            if run.config.checkpoint_every and run.step % run.config.checkpoint_every == 0:
                self._save()
            if run.stop_reason is not None:
                break
        return None

    def _step(self, indices: Tensor) -> None:
        """One optimizer step on the examples ``indices``, shared out over the processes."""
        run, techniques = self._run, self._run.techniques
        batch = techniques.transform_batch(run, self._share(indices))
        parts = techniques.split_batch(run, batch)
        run.optimizer.zero_grad(set_to_none=True)
        for number, part in enumerate(parts, start=1):
            with run.gradient_exchange(wanted=number == len(parts)):
                with techniques.forward_context(run):
                    outputs = run.forward(part.inputs)
                    losses = functional.cross_entropy(outputs, part.targets, reduction="none")
                    losses = techniques.compute_losses(run, part, outputs, losses)
                    # The exchange averages over processes; times their number, it is the mean over all examples.
                    loss = (losses * part.weights).sum() * (run.world.size / len(indices))
                techniques.backward(run, loss, _backward)
            self._reporter.add(losses.detach(), outputs.detach(), part.labels, part.weights)
        techniques.before_update(run)
        techniques.update(run, self._move_weights)
        if run.scheduler is not None:
            run.scheduler.step()
        run.step += 1
        run.step_in_epoch += 1
        run.samples += len(indices)
        techniques.after_step(run)

    def _share(self, indices: Tensor) -> Batch:
        """This process's examples of a step; a process that gets none takes one that counts for nothing."""
        run = self._run
        mine = indices[run.world.rank :: run.world.size]
        idle = len(mine) == 0
        if idle:
            mine = indices[:1]
        inputs, labels = run.data.train.batch(mine, run.device)
        weights = torch.ones(len(mine), device=run.device)
        batch = Batch(inputs=inputs, targets=labels, labels=labels, indices=mine, weights=weights)
        return batch.padding() if idle else batch

    def _move_weights(self) -> None:
        self._run.optimizer.step()

    def _agree(self) -> int | None:
        """The signal that any process got; a technique's wish to stop becomes everybody's."""
        run = self._run
        wish = self._signals.requested or (_GO_ON if run.stop_reason is None else _ENOUGH)
        agreed = run.world.largest(wish)
        if agreed > _ENOUGH:
            return agreed
        if agreed == _ENOUGH:
            # The same reason for all, whoever had it.
            reason = next(filter(None, run.world.gather(run.stop_reason)), "")
            run.stop_reason = (run.world.from_main(reason.encode()) or b"").decode()
        return None

    def _end_epoch(self) -> Evaluation:
        run = self._run
        self._reporter.pause()
        evaluation = evaluate(run, run.data.validation)
        if run.best is None or evaluation.rank > run.best.rank:
            run.best, run.best_step = evaluation, run.step
            if self._store is not None:
                self._store.save_best(snapshot.capture_best(run))
        self._reporter.report(evaluation)
        run.techniques.after_epoch(run, evaluation)
        run.epoch += 1
        run.step_in_epoch = 0
        run.order = None
        self._saved_step = -1  # same step, but the epoch is closed now
        return evaluation

    def _save(self) -> None:
        """Checkpoint, and wait until it is on disk: the launcher stops all processes as soon as one has ended."""
        run = self._run
        wanted = run.world.largest(int(self._store is not None and self._saved_step != run.step))
        if not wanted:
            return
        self._reporter.pause()
        state = snapshot.capture(run, self._reporter.seconds)
        if self._store is not None and state is not None:
            began = time.monotonic()
            path = self._store.save(run.step, state)
            fields = {"path": str(path), "step": run.step, "seconds": time.monotonic() - began}
            log.info("checkpoint", extra={"fields": fields})
        self._saved_step = run.step
        run.world.barrier()

    def _deploy(self, resumed_from: int, validation: Evaluation | None) -> TrainingResult:
        """The model as techniques finish it, evaluated."""
        run = self._run
        trained = run.model
        model = run.techniques.finish(run, trained)
        test = None
        if model is not trained:
            validation = evaluate_deployed(run, model, run.data.validation)
            test = None if run.data.test is None else evaluate_deployed(run, model, run.data.test)
        else:
            validation = validation or evaluate(run, run.data.validation)
            test = None if run.data.test is None else evaluate(run, run.data.test)
        return self._result("completed", resumed_from, validation=validation, test=test)

    def _result(
        self,
        outcome: str,
        resumed_from: int,
        *,
        signum: int | None = None,
        validation: Evaluation | None = None,
        test: Evaluation | None = None,
    ) -> TrainingResult:
        run, reporter = self._run, self._reporter
        result = TrainingResult(
            outcome=outcome,
            data=run.config.data,
            model=run.config.model,
            seed=run.config.seed,
            device=str(run.device),
            processes=run.world.size,
            parameters=sum(parameter.numel() for parameter in run.model.parameters()),
            epochs=run.epoch,
            steps=run.step,
            samples=run.samples,
            seconds=reporter.seconds,
            samples_per_second=reporter.samples_per_second,
            loss=reporter.last_loss,
            accuracy=reporter.last_accuracy,
            val_loss=None if validation is None else validation.loss,
            val_accuracy=None if validation is None else validation.accuracy,
            best_val_accuracy=None if run.best is None else run.best.accuracy,
            best_step=None if run.best is None else run.best_step,
            resumed_from_step=resumed_from,
            synthetic=run.synthetic or None,
            stop_reason=run.stop_reason,
            signal=signum,
            techniques=run.techniques.figures(run),
        )
        if test is not None:
            result = replace(result, test_loss=test.loss, test_accuracy=test.accuracy)
        return result


def _backward(loss: Tensor) -> None:
    torch.autograd.backward(loss)
