"""Which evaluations of a training are new, and how many nobody will ever know.

Evaluations may come faster than anybody asks. The exporter counts them and shows the newest `RING`; evaluation number n
stands in slot n % RING. What must hold: each evaluation up to the count that was seen last is told once, or counted as
missed once, never both, whatever happens between two times.

What happens, and what is made of it:

- Nothing was seen for a while: what the ring still holds is told, the rest is missed. The same at the first sight of a
  job, also after the operator began anew: it knows no more than it has read itself.
- The count is the same or less, and the ring holds what was read before: an old sight by another scraper; nothing new.
- The count is less, and the ring holds other values than were read under these numbers; or nothing can be compared, and
  the count stays less for longer than anybody shows an old sight: the exporter has lost its count. It counts from 1
  again; here the numbers go on after the last. (A lost count that has grown beyond the old one meanwhile cannot be told
  from one that was kept.)
- A value that is NaN or infinite is known like any other: so a training looks that diverges. Only an empty slot is
  missed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ballast.api.exporter import RING
from ballast.api.finalreading import Evaluation

ALL_SLOTS: Final = frozenset(range(RING))
KEEP_SECONDS: Final = 3600.0
"""How long it is remembered what was read of a job that nothing is heard of."""
LOOKBACK_SECONDS: Final = 300.0
"""How old the newest sample of a series may be that Prometheus answers with (its own default)."""
MAX_EVALUATIONS: Final = 10**12
"""A greater count is no count."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands in a slot of the ring.

    Attributes:
        value: may be NaN or infinite.
        step: None if none is told.
        training_value: likewise; may be NaN or infinite, too.
    """

    value: float
    step: int | None = None
    training_value: float | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of an attempt's evaluations.

    Attributes:
        evaluations: how many there were.
        missed: of these, how many nobody knows.
        newest: the newest value that is known; may be NaN or infinite.
        new: those that were not told before, oldest first.
    """

    evaluations: int = 0
    missed: int = 0
    newest: float | None = None
    new: tuple[Evaluation, ...] = ()


@dataclass(slots=True)
class _Record:
    """Of one attempt.

    Attributes:
        base: how many there were before the exporter lost its count.
        count: the exporter's, as seen last.
        recent: the newest values that were read, by the exporter's number.
        less_since: since when the count is less, and nothing can be compared.
    """

    attempt: int
    pod_uid: str
    seen_at: float
    base: int = 0
    count: int = 0
    missed: int = 0
    newest: float | None = None
    recent: Mapping[int, float] | None = None
    less_since: float | None = None

    def decoded(self, new: tuple[Evaluation, ...] = ()) -> Decoded:
        return Decoded(self.base + self.count, self.missed, self.newest, new)


class EvaluationDecoder:
    """Remembers, for each job, what was read of its latest attempt: one small record."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def pod_uid(self, job_uid: str, attempt: int) -> str | None:
        """Return the pod by which a job's evaluations were read last; None if none was."""
        record = self._records.get(job_uid)
        return None if record is None or record.attempt != attempt else record.pod_uid

    def wanted(self, job_uid: str, attempt: int, count: int) -> frozenset[int]:
        """Return the slots that must be read now that the exporter counts so many; none if there is nothing new."""
        record = self._records.get(job_uid)
        known = 0
        if record is not None and record.attempt >= attempt:
            known = record.count if record.attempt == attempt else count
        if known == count or not 0 <= count <= MAX_EVALUATIONS:
            return frozenset()
        if count < known:
            return ALL_SLOTS  # to be compared with what was read before
        return frozenset(number % RING for number in range(max(known, count - RING) + 1, count + 1))

    def known(self, job_uid: str, attempt: int, now: float) -> Decoded:
        """Return what was known before, of a job that is still heard of, at `now` in seconds since the epoch."""
        record = self._records.get(job_uid)
        if record is None or record.attempt != attempt:
            return Decoded()
        record.seen_at = now
        return record.decoded()

    def take(
        self,
        job_uid: str,
        attempt: int,
        pod_uid: str,
        count: int,
        ring: Mapping[int, Slot],
        now: float,
        asked: int | None = None,
    ) -> Decoded:
        """Take what one scrape says, and return what is known now, with what is new.

        Args:
            job_uid: of the job.
            attempt: its number; of an older one than was read before, nothing is taken.
            pod_uid: by which pod it is read.
            count: how many evaluations there were.
            ring: by slot, of the same scrape.
            now: seconds since the epoch.
            asked: how many there were when it was chosen which slots to read; None if all were read. What came since
                is left for the next time.
        """
        record = self._records.get(job_uid)
        if record is None or record.attempt < attempt:
            record = self._records[job_uid] = _Record(attempt, pod_uid, now)
        elif record.attempt > attempt:
            return Decoded()
        record.seen_at = now
        if not 0 <= count <= MAX_EVALUATIONS:
            return record.decoded()
        if count < record.count:
            if not _has_lost_its_count(record, count, ring, now):
                return record.decoded()
            record.base += record.count
            record.count = 0
            record.recent = None
        record.less_since = None
        record.pod_uid = pod_uid
        upto = count if asked is None else min(asked, count)
        found = {
            number: slot
            for number in range(max(record.count, count - RING) + 1, upto + 1)
            if (slot := ring.get(number % RING)) is not None
        }
        new = tuple(
            Evaluation(record.base + number, slot.value, slot.step, slot.training_value)
            for number, slot in found.items()
        )
        if upto > record.count:
            record.missed += upto - record.count - len(new)
            record.count = upto
        if new:
            read = {**(record.recent or {})} | {number: slot.value for number, slot in found.items()}
            record.recent = {number: value for number, value in read.items() if number > upto - RING}
            record.newest = new[-1].value
        return record.decoded(new)

    def forget_silent(self, now: float) -> None:
        """Drop what is remembered of jobs that nothing was heard of for `KEEP_SECONDS`."""
        silent = [uid for uid, record in self._records.items() if now - record.seen_at > KEEP_SECONDS]
        for uid in silent:
            del self._records[uid]


def _has_lost_its_count(record: _Record, count: int, ring: Mapping[int, Slot], now: float) -> bool:
    """Return whether a count that is less than before comes from an exporter that counts anew."""
    read, before = _values(count, ring), record.recent or {}
    if both := read.keys() & before.keys():
        record.less_since = None
        return not all(_is_same(read[number], before[number]) for number in both)
    if record.less_since is None:
        record.less_since = now
    return now - record.less_since > LOOKBACK_SECONDS


def _values(count: int, ring: Mapping[int, Slot]) -> dict[int, float]:
    """Return the values of a ring by their numbers."""
    numbers = range(max(count - RING, 0) + 1, count + 1)
    slots = {number: ring.get(number % RING) for number in numbers}
    return {number: slot.value for number, slot in slots.items() if slot is not None}


def _is_same(value: float, other: float) -> bool:
    return value == other or (math.isnan(value) and math.isnan(other))
