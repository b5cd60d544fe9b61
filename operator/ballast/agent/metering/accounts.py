"""What each pod has used, in joules, active and idle apart.

What must hold: joules only grow while a pod is there; a pod's account is kept for some time after it is gone, so that
its last reading can be fetched, and no longer: the number of accounts is bounded.

A training pod's account is concluded when the pod has ended, holds nothing any more, and the meter has looked once more
after that; it then stands in `ended` for as long as it is kept, whatever becomes of the pod's exporter. The operator
holds the pod's object until it has entered what the pod used; until then the account is kept, however long that takes.

Charges come from the device thread, readings are asked for on the event loop: a lock is held for each, briefly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from ballast.agent.node.pods import PodOnNode
from ballast.api.nodestatus import MAX_ENDED_PODS, EndedComponent, EndedPod
from ballast.api.operatingpoint import MAX_GPUS_OF_NODE
from ballast.api.readings import GpuShare, PodReadings, Share, Source
from ballast.api.source import Component

KEPT_SECONDS: Final = 600.0
"""How long a pod's account is kept after the pod's object is gone."""
MOST_ACCOUNTS: Final = 1024
FRESH_SECONDS: Final = 5.0
"""Watts that were charged longer ago are over."""
MOST_DECIMALS: Final = 6
ENDED_DECIMALS: Final = 3
"""Of joules in a status: a thousandth is below what any board counts."""

Json: TypeAlias = dict[str, Any]
GpuKey: TypeAlias = tuple[str, str | None]
"""A GPU's UUID, and the MIG device's."""


@dataclass(slots=True)
class _Share:
    active: float = 0.0
    idle: float = 0.0
    watts: float = 0.0
    at: float = float("-inf")
    source: Source = Source.COUNTER

    def charge(self, active: float, idle: float, watts: float, at: float, source: Source) -> None:
        self.active += active
        self.idle += idle
        self.watts = watts
        self.at = at
        self.source = source

    def to_json(self) -> list[Any]:
        return [self.active, self.idle, self.source.value]

    @classmethod
    def from_json(cls, values: list[Any]) -> _Share:
        active, idle, source = values
        return cls(float(active), float(idle), source=Source(source))


@dataclass(slots=True)
class _Account:
    since: float
    namespace: str = ""
    name: str = ""
    trains: bool = False
    read_at: float | None = None
    """Until when everything that it used is charged."""
    ended_at: float | None = None
    """Since when it is not among those that run."""
    gone_at: float | None = None
    """Since when its object is gone."""
    concluded_at: float | None = None
    gpus: dict[GpuKey, _Share] = field(default_factory=dict)
    cpu: _Share | None = None
    dram: _Share | None = None


class Accounts:
    """The accounts of a node's pods.

    Args:
        node: the node's name.
        clock: seconds since the epoch (`SteadyClock.now`).

    Attributes:
        ended: what training pods used that have ended, the newest last; a new tuple whenever it changes.
    """

    def __init__(self, node: str, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._limits: dict[str, float] = {}
        self._followed_at = 0.0
        self.ended: tuple[EndedPod, ...] = ()

    def __len__(self) -> int:
        return len(self._accounts)

    def follow(self, pods: Mapping[str, PodOnNode], ended: Collection[str] | None = ()) -> None:
        """Open accounts for pods that came, and close those of pods that have been gone for long.

        Args:
            pods: that have not ended.
            ended: those that have, and whose objects are there; None while that is not known.
        """
        now = self._followed_at = self._clock()
        with self._lock:
            for uid, pod in pods.items():
                account = self._accounts.get(uid)
                if account is None:
                    account = self._accounts[uid] = _Account(now)
                account.namespace, account.name, account.trains = pod.namespace, pod.name, pod.trains
                account.ended_at = account.gone_at = account.concluded_at = None
            for uid in [uid for uid in self._accounts if uid not in pods]:
                account = self._accounts[uid]
                if account.ended_at is None:
                    account.ended_at = now
                if ended is None or uid in ended:
                    account.gone_at = None
                elif account.gone_at is None:
                    account.gone_at = now
                elif now - account.gone_at > KEPT_SECONDS:
                    del self._accounts[uid]
            self._bound()

    def conclude(self, uids: Iterable[str], unread: Collection[str], holding: Collection[str]) -> bool:
        """Note that everything that was used until `follow` was called is charged.

        Args:
            uids: of the node's pods.
            unread: those of them that hold something which could not be read.
            holding: pods that hold a GPU, or a part of one.

        Returns:
            Whether an account was concluded.
        """
        with self._lock:
            for uid in uids:
                if uid not in unread and uid in self._accounts:
                    self._accounts[uid].read_at = self._followed_at
            news = False
            for uid, account in self._accounts.items():
                if account.ended_at is not None and account.concluded_at is None and uid not in holding:
                    account.concluded_at = self._followed_at
                    news = news or account.trains
            self._tell_ended()
            return news

    def charge_gpu(self, uid: str, key: GpuKey, active: float, idle: float, watts: float, source: Source) -> None:
        """Charge a pod for its share of a GPU.

        Args:
            uid: the pod's.
            key: which GPU, or part of it.
            active: joules of its own work.
            idle: joules that would have been drawn without load.
            watts: its power now, both together.
            source: where the figures come from.
        """
        with self._lock:
            gpus = self._account(uid).gpus
            share = gpus.get(key)
            if share is None:
                share = gpus[key] = _Share()
            share.charge(active, idle, watts, self._clock(), source)

    def charge_cpu(self, uid: str, joules: float, watts: float, source: Source) -> None:
        """Charge a pod for its share of the CPU packages."""
        with self._lock:
            account = self._account(uid)
            if account.cpu is None:
                account.cpu = _Share()
            account.cpu.charge(joules, 0.0, watts, self._clock(), source)

    def charge_dram(self, uid: str, joules: float, watts: float, source: Source) -> None:
        """Charge a pod for its share of the memory."""
        with self._lock:
            account = self._account(uid)
            if account.dram is None:
                account.dram = _Share()
            account.dram.charge(joules, 0.0, watts, self._clock(), source)

    def note_limit(self, uuid: str, watts: float | None) -> None:
        """Note a GPU's present power limit, for the readings of those who hold it."""
        if watts is None:
            self._limits.pop(uuid, None)
        else:
            self._limits[uuid] = watts

    def readings(self, uid: str) -> PodReadings | None:
        """Return what a pod has used; None if no such pod is known, or was for too long gone."""
        with self._lock:
            account = self._accounts.get(uid)
            if account is None or not account.name:
                return None
            now = self._clock()
            gpus = tuple(
                GpuShare(
                    uuid=uuid,
                    mig_device=mig_device,
                    power_limit_watts=self._limits.get(uuid) or None,
                    **_told(share, now),
                )
                for (uuid, mig_device), share in _newest(account.gpus)
            )
            cpu = Share(**_told(account.cpu, now)) if account.cpu is not None else None
            dram = Share(**_told(account.dram, now)) if account.dram is not None else None
            shares = [share for share in (*gpus, cpu, dram) if share is not None]
            return PodReadings(
                pod_uid=uid,
                namespace=account.namespace,
                name=account.name,
                node=self._node,
                at=datetime.fromtimestamp(account.since if account.read_at is None else account.read_at, UTC),
                since=datetime.fromtimestamp(account.since, UTC),
                gpus=gpus,
                cpu=cpu,
                dram=dram,
                joules=sum(share.active_joules + share.idle_joules for share in shares),
                watts=sum(share.watts for share in shares),
            )

    def gpu_joules(self, uuid: str) -> float:
        """Return what all known pods together were charged for one GPU."""
        with self._lock:
            return sum(
                share.active + share.idle
                for account in self._accounts.values()
                for (gpu, _), share in account.gpus.items()
                if gpu == uuid
            )

    def to_json(self) -> Json:
        """Return everything, as it is saved."""
        with self._lock:
            return {
                uid: {
                    "namespace": account.namespace,
                    "name": account.name,
                    "trains": account.trains,
                    "since": account.since,
                    "readAt": account.read_at,
                    "endedAt": account.ended_at,
                    "goneAt": account.gone_at,
                    "concludedAt": account.concluded_at,
                    "gpus": [[*key, *share.to_json()] for key, share in account.gpus.items()],
                    "cpu": account.cpu.to_json() if account.cpu is not None else None,
                    "dram": account.dram.to_json() if account.dram is not None else None,
                }
                for uid, account in self._accounts.items()
            }

    def restore(self, saved: Json) -> None:
        """Take over what an earlier process saved.

        Raises:
            ValueError, KeyError, TypeError: it is not what `to_json` gives.
        """
        accounts = {}
        for uid, values in saved.items():
            account = _Account(
                float(values["since"]),
                str(values["namespace"]),
                str(values["name"]),
                bool(values.get("trains", False)),  # this and what follows: an earlier version did not save it
                _moment(values.get("readAt")),
                _moment(values.get("endedAt")),
                _moment(values.get("goneAt")),
                _moment(values.get("concludedAt")),
            )
            for uuid, mig_device, *share in values["gpus"]:
                account.gpus[uuid, mig_device] = _Share.from_json(share)
            account.cpu = _Share.from_json(values["cpu"]) if values["cpu"] else None
            account.dram = _Share.from_json(values["dram"]) if values["dram"] else None
            accounts[uid] = account
        with self._lock:
            self._accounts = accounts
            self._tell_ended()

    def _tell_ended(self) -> None:
        concluded = [
            (account.gone_at is None, account.concluded_at, uid)
            for uid, account in self._accounts.items()
            if account.trains and account.concluded_at is not None
        ]
        # Somebody may still wait for what those used whose objects are there.
        newest = sorted((at, uid) for _, at, uid in sorted(concluded)[-MAX_ENDED_PODS:])
        if [uid for _, uid in newest] != [pod.uid for pod in self.ended]:
            self.ended = tuple(_ended(uid, at, self._accounts[uid]) for at, uid in newest)

    def _account(self, uid: str) -> _Account:
        account = self._accounts.get(uid)
        if account is None:
            account = self._accounts[uid] = _Account(self._clock())
            self._bound()
        return account

    def _bound(self) -> None:
        while len(self._accounts) > MOST_ACCOUNTS:
            del self._accounts[min(self._accounts, key=lambda uid: _lasts(self._accounts[uid]))]


def _ended(uid: str, at: float, account: _Account) -> EndedPod:
    shares = {
        Component.GPU: list(account.gpus.values()),
        Component.CPU: [account.cpu] if account.cpu is not None else [],
        Component.DRAM: [account.dram] if account.dram is not None else [],
    }
    return EndedPod(
        uid=uid,
        at=datetime.fromtimestamp(at, UTC),
        used=tuple(
            EndedComponent(
                component=component,
                active_joules=round(sum(share.active for share in each), ENDED_DECIMALS),
                idle_joules=round(sum(share.idle for share in each), ENDED_DECIMALS),
                source=max((share.source for share in each), key=list(Source).index),  # the least of them
            )
            for component, each in shares.items()
            if each
        ),
    )


def _lasts(account: _Account) -> tuple[float, ...]:
    """Return what those accounts have least of that go first: who is gone longest, then who ended, then who runs."""
    never = float("inf")
    return account.gone_at or never, account.ended_at or never, account.since


def _moment(value: Any) -> float | None:
    return None if value is None else float(value)


def _newest(gpus: Mapping[GpuKey, _Share]) -> Iterable[tuple[GpuKey, _Share]]:
    """Return all shares, or as many as a reading holds: those that were charged last."""
    if len(gpus) <= MAX_GPUS_OF_NODE:
        return gpus.items()
    return sorted(gpus.items(), key=lambda item: item[1].at)[-MAX_GPUS_OF_NODE:]


def _told(share: _Share, now: float) -> dict[str, Any]:
    return {
        "active_joules": round(share.active, MOST_DECIMALS),
        "idle_joules": round(share.idle, MOST_DECIMALS),
        "watts": round(share.watts, MOST_DECIMALS) if now - share.at <= FRESH_SECONDS else 0.0,
        "source": share.source,
    }
