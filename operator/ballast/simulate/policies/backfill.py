"""Gangs, bin-packing and backfill: what batch schedulers do beyond FIFO.

Two arms, because the word backfill means two things. `gang-binpack-backfill` does what Volcano's actions enqueue,
allocate and backfill do with the plugins gang, overcommit and binpack: a job is looked at once the GPUs that the jobs
ahead of it hold and want are within 1.2 times the cluster's; of those jobs each that fits as a whole starts, in the
order of submission, and one that does not gives back what it was allotted and is passed over. Volcano's backfill action
itself is for pods that request nothing, so that it never gives a GPU away: passing over is all the backfill there is,
and nothing is reserved for the job that was passed over.

`easy-backfill` is the EASY scheduler: the first job that does not fit gets a reservation at the earliest time at which
it will, by the expected ends of the running jobs, and jobs behind it start only where they do not delay it. It is told
how long jobs run on each GPU model, where EASY relies on what users say, which favours it.

What must hold: a gang starts whole; under EASY no job that starts ahead of the first delays it, if the ends are as
expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Packer, Placement, Room, start_in_order
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import Start, Step, View

OVERCOMMIT_FACTOR = 1.2
"""Volcano's default: jobs are looked at whose GPUs, with those in use, are within so many times the cluster's."""


class GangBinpackBackfill:
    """Volcano's queue of one priority."""

    name = "gang-binpack-backfill"
    reference = (
        "Volcano (volcano.sh): actions enqueue, allocate and backfill; plugins gang, binpack and overcommit "
        f"(factor {OVERCOMMIT_FACTOR:g})"
    )
    keeps_slowdown = False

    def __init__(self, seed: int) -> None:
        self._packer = Packer(seed, spread=False)
        self._enqueued: dict[str, TraceJob] = {}

    def decide(self, view: View) -> Sequence[Step]:
        """Run sessions until one starts nothing."""
        room = Room.of(view)
        gpus = sum(node.gpus for node in view.nodes.values())
        starts: list[Start] = []
        # Volcano runs a session each second: what the next ones would do happens at once here.
        while room.gpus:
            self._enqueue(view.waiting, {start.job for start in starts}, gpus, gpus - room.gpus)
            started = start_in_order(self._enqueued.values(), room, self._packer)
            if not started:
                break
            for start in started:
                del self._enqueued[start.job]
            starts += started
        return starts

    def _enqueue(self, waiting: Sequence[TraceJob], started: set[str], gpus: int, used: int) -> None:
        wanted = sum(job.gpus for job in self._enqueued.values())
        left = OVERCOMMIT_FACTOR * gpus - used - wanted
        size = len(self._enqueued)
        for job in waiting:
            if left < 1:
                break
            if job.gpus <= left and job.name not in self._enqueued and job.name not in started:
                self._enqueued[job.name] = job
                left -= job.gpus
        if len(self._enqueued) > size:
            by_submission = sorted(self._enqueued.values(), key=lambda job: (job.submitted_at, job.name))
            self._enqueued = {job.name: job for job in by_submission}


@dataclass
class Reservation:
    """What is kept for the first job that does not fit.

    Attributes:
        at: When it is expected to start.
        spare: What is free then beyond what it takes, by node name: later jobs may hold that at that time.
    """

    at: float
    spare: Room


class EasyBackfill:
    """EASY backfill with bin-packing: one reservation, for the first job that does not fit."""

    name = "easy-backfill"
    reference = (
        "EASY (Lifka: The ANL/IBM SP Scheduling System, JSSPP 1995; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001), "
        "gangs and bin-packing, told the jobs' durations"
    )
    keeps_slowdown = False

    def __init__(self, seed: int, speeds: Speeds) -> None:
        self._packer = Packer(seed, spread=False)
        self._speeds = speeds

    def decide(self, view: View) -> Sequence[Step]:
        """Start jobs up to the first that does not fit, then those behind it that do not delay it."""
        room = Room.of(view)
        if not room.gpus or not view.waiting:
            return []
        starts: list[Start] = []
        ends = [(self._end(view, name), running.nodes) for name, running in view.running.items()]
        queue = iter(view.waiting)
        for job in queue:
            placement = self._packer.place(job.gpus, room, room.models)
            if placement is None:
                reservation = self._reserve(job, room, ends, view.now)
                if reservation is not None:
                    starts += self._backfill(queue, room, reservation, view.now)
                    break
                continue  # Not even the empty cluster holds it: it must not stop the others.
            starts.append(_start(job, placement, room))
            ends.append((view.now + self._speeds.seconds(job, room.gpu_model(placement)), placement))
        return starts

    def _end(self, view: View, name: str) -> float:
        running = view.running[name]
        return view.now + (1 - running.done) * self._speeds.seconds(running.job, running.gpu_model)

    def _reserve(
        self, job: TraceJob, room: Room, ends: list[tuple[float, Placement]], now: float
    ) -> Reservation | None:
        spare = Room(room.nodes, room.free, room.off)
        for at, nodes in sorted(ends, key=lambda end: end[0]):
            spare.give_back(nodes)
            placement = self._packer.place(job.gpus, spare, spare.models)
            if placement is not None:
                spare.take(placement)
                return Reservation(max(at, now), spare)
        return None

    def _backfill(self, queue: Iterator[TraceJob], room: Room, reservation: Reservation, now: float) -> Iterator[Start]:
        least_blocked = least_blocked_beyond = float("inf")
        for job in queue:
            if not room.gpus or least_blocked <= 1:
                return
            if job.gpus >= least_blocked:
                continue
            placement = self._packer.place(job.gpus, room, room.models)
            if placement is None:
                least_blocked = job.gpus
                continue
            if now + self._speeds.seconds(job, room.gpu_model(placement)) > reservation.at:
                if job.gpus >= least_blocked_beyond:
                    continue
                placement = self._beside(job, room, reservation)
                if placement is None:
                    least_blocked_beyond = job.gpus
                    continue
                reservation.spare.take(placement)
            yield _start(job, placement, room)

    def _beside(self, job: TraceJob, room: Room, reservation: Reservation) -> Placement | None:
        # It will still run when the reservation begins: it fits where GPUs are free both now and then.
        free = {name: min(gpus, reservation.spare.free[name]) for name, gpus in room.free.items()}
        both = Room(room.nodes, free, room.off)
        return self._packer.place(job.gpus, both, both.models)


def _start(job: TraceJob, placement: Placement, room: Room) -> Start:
    room.take(placement)
    return Start(job.name, placement, room.nodes[next(iter(placement))].max_limit_watts)
