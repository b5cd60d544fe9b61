"""Report how far a training is, in one line: `progress.report(step=step, total_steps=1000, val_loss=loss)`.

Outside Ballast it does nothing but look at its arguments. Inside, the exporter beside the trainer hears of it. What
must hold: training never waits for it (`progress_sender`), and only a wrong argument raises, always and at once. Under
torchrun the first process of a gang reports; the first of each other pod only tells what CPU time is used there.

Standard library only, and nothing else of Ballast: trainers import it.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final, SupportsFloat, SupportsIndex
from urllib.parse import urlsplit

from ballast.progress_sender import Report, Send, Sender, container_cpu_seconds, sender_to

__all__ = ["flush", "report"]

logger = logging.getLogger(__name__)

URL_VARIABLE: Final = "BALLAST_PROGRESS_URL"
EXIT_SECONDS: Final = 5.0
"""How long the end of the process may wait for the last report; less if the exporter did not answer before."""
SILENT_EXIT_SECONDS: Final = 1.0
MOST_METRICS: Final = 64
MOST_COUNT: Final = 2**53
METRIC_NAME: Final = re.compile(r"[A-Za-z_][-A-Za-z0-9_./:]{0,62}")


def report(
    *,
    step: SupportsIndex | SupportsFloat | None = None,
    total_steps: SupportsIndex | SupportsFloat | None = None,
    epoch: SupportsFloat | None = None,
    samples: SupportsFloat | None = None,
    percent: SupportsFloat | None = None,
    seconds_left: SupportsFloat | None = None,
    metrics: Mapping[str, SupportsFloat] | None = None,
    **values: SupportsFloat,
) -> None:
    """Report where the training is. Everything can be left out; numbers may be NumPy's, or tensors of one element.

    Args:
        step: optimizer steps done, over all attempts.
        total_steps: at which step the training ends.
        epoch: epochs done, with a fraction.
        samples: that this process (with those that train along) has trained on since it began.
        percent: of the work, 0 to 100; need not be told where steps are.
        seconds_left: likewise.
        metrics: values by name, for names that are no Python names, such as "eval/loss".
        values: of metrics, as in `val_loss=0.3`; may be NaN or infinite.

    Raises:
        TypeError: an argument is no number, or there is none.
        ValueError: an argument is out of its range, or a metric's name cannot be used.
    """
    told: dict[str, Any] = {
        "step": _count("step", step, 0),
        "totalSteps": _count("total_steps", total_steps, 1),
        "epoch": _quantity("epoch", epoch),
        "samples": _quantity("samples", samples),
        "percent": _quantity("percent", percent, 100),
        "secondsLeft": _quantity("seconds_left", seconds_left),
    }
    content = {name: value for name, value in told.items() if value is not None}
    named = _metrics(metrics, values)
    if not content and not named:
        raise TypeError("report() was told nothing: pass step=, total_steps= or the value of a metric, val_loss= say")
    sender = _of_this_process()
    if sender is None:
        return
    # Other pods of a gang have exporters, too, and their CPU time is theirs.
    sender.add(Report(content, named) if os.environ.get("RANK", "0") == "0" else Report())


def flush(seconds: float = EXIT_SECONDS) -> bool:
    """Wait until everything was told, and return whether it was; at the end of the process this is done by itself.

    Args:
        seconds: how long to wait at most.
    """
    sender = _sender
    return sender is None or sender.pid != os.getpid() or sender.flush(seconds)


_sender: Sender | None = None
_lock = threading.Lock()
_complained = False


def _of_this_process() -> Sender | None:
    """Return who sends for this process; None if nobody listens, or another process of the pod reports."""
    global _sender
    address = os.environ.get(URL_VARIABLE)
    if not address or os.environ.get("LOCAL_RANK", "0") != "0":
        return None
    with _lock:
        if _sender is None or _sender.pid != os.getpid():
            send = _send_to(address)
            if send is None:
                return None
            _sender = Sender(send, container_cpu_seconds)
            _flush_at_exit()
        return _sender


def _send_to(address: str) -> Send | None:
    global _complained
    try:
        url = urlsplit(address)
        if url.scheme == "http" and url.hostname and url.port != 0:
            return sender_to(url)
    except ValueError:  # the port is no number
        pass
    if not _complained:
        _complained = True
        logger.warning("progress is not reported: %s is %r, and must be http://HOST:PORT/PATH", URL_VARIABLE, address)
    return None


def _flush_at_exit() -> None:
    atexit.unregister(_last)
    atexit.register(_last)
    # A process that multiprocessing has started ends without atexit.
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _last, exitpriority=0)


def _last() -> None:
    flush(SILENT_EXIT_SECONDS if _sender is not None and _sender.fails else EXIT_SECONDS)


def _forget() -> None:
    """Begin anew in a forked process, which has neither the thread nor whoever holds the lock."""
    global _sender, _lock
    _sender, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _metrics(named: Mapping[str, SupportsFloat] | None, values: Mapping[str, SupportsFloat]) -> dict[str, float]:
    if named is not None and not isinstance(named, Mapping):
        raise TypeError(f"metrics is {named!r}: pass a mapping of names to numbers, or the values by name")
    both = sorted(set(named or {}) & set(values))
    if both:
        raise ValueError(f"{both[0]} is told twice: in metrics and by name; leave one out")
    found = {**(named or {}), **values}
    if len(found) > MOST_METRICS:
        raise ValueError(f"there are {len(found)} metrics: report at most {MOST_METRICS} at once")
    for name in found:
        if not isinstance(name, str) or not METRIC_NAME.fullmatch(name):
            raise ValueError(f"{name!r} names no metric: use a letter or _, then at most 62 of letters, digits, _-./:")
    return {name: _float(name, value) for name, value in found.items() if value is not None}


def _count(name: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    real = _float(name, value)
    if not real.is_integer():
        raise ValueError(f"{name} is {value!r}: pass a whole number")
    number = value if isinstance(value, int) else int(real)
    if not least <= number <= MOST_COUNT:
        raise ValueError(f"{name} is {value!r}: pass a whole number from {least} to 2**53")
    return number


def _quantity(name: str, value: Any, most: float = math.inf) -> float | None:
    if value is None:
        return None
    number = _float(name, value)
    if not math.isfinite(number) or not 0 <= number <= most:
        raise ValueError(
            f"{name} is {value!r}: pass a number of at least 0" + (f", at most {most:g}" * (most < math.inf))
        )
    return number


def _float(name: str, value: Any) -> float:
    """Return a number as a float: also NumPy's, and a tensor's of one element."""
    if isinstance(value, bool | str | bytes) or not isinstance(value, SupportsFloat | SupportsIndex):
        raise TypeError(f"{name} is {value!r}: pass a number")
    detach = getattr(value, "detach", None)  # torch warns of the value of a loss that gradients come from
    try:
        return float(detach() if callable(detach) else value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # RuntimeError: a tensor of several elements
        raise TypeError(f"{name} is {value!r}: pass one number ({error})") from error
