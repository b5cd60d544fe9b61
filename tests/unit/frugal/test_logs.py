"""One line an event, in both formats."""

from __future__ import annotations

import io
import json
import logging

import pytest

from frugal import logs

log = logging.getLogger("frugal.test")


def _line(fields: dict[str, object], *, as_json: bool, message: str = "progress") -> str:
    stream = io.StringIO()
    handler = logs.configure(as_json=as_json, stream=stream)
    try:
        log.info(message, extra={"fields": fields})
    finally:
        logs.remove(handler)
    return stream.getvalue()


def test_logfmt() -> None:
    line = _line({"step": 3, "loss": 0.123456789, "path": "a b", "done": True, "lr": None}, as_json=False)
    assert line.endswith('level=info event=progress step=3 loss=0.123457 path="a b" done=true\n')


def test_json() -> None:
    event = json.loads(_line({"step": 3, "loss": float("nan"), "lr": None}, as_json=True))
    assert {key: event[key] for key in event if key != "time"} == {
        "level": "info",
        "event": "progress",
        "step": 3,
        "loss": "nan",
    }


@pytest.mark.parametrize("as_json", [True, False])
def test_a_message_of_several_lines_stays_one_line(as_json: bool) -> None:
    assert _line({}, as_json=as_json, message="one\ntwo").count("\n") == 1
