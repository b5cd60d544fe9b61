"""JSON from the API server may be nested deeper than Python's decoder goes: the rest is left out, here and in kopf.

A TrainingJob's template is kept as its owner wrote it, and the API server takes ten thousand levels; the decoder gives
up at about a thousand, and with it the list or the watch in which that one object stands. What must hold: whatever one
object holds, the others are read. Such an object then breaks a rule of its own (`api.podtemplate`).
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

KEPT_DEPTH: Final = 200
"""Levels that are kept of what is too deep; no object of Kubernetes' own has nearly as many."""
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

_decode = json.JSONDecoder.raw_decode


def tolerate() -> None:
    """From now on have every decoder of this process leave out what is nested too deep, those of libraries, too."""
    json.JSONDecoder.raw_decode = _raw_decode  # type: ignore[method-assign, assignment]


def cut(text: str) -> str:
    """Return JSON with null in place of each array and object that is nested deeper than `KEPT_DEPTH`."""
    kept: list[str] = []
    begin = depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == KEPT_DEPTH + 1:
                kept += (text[begin : token.start()], "null")
                begin = len(text)
        elif token[0] in ("]", "}"):
            if depth == KEPT_DEPTH + 1:
                begin = token.end()
            depth -= 1
    return "".join((*kept, text[begin:]))


def _raw_decode(decoder: json.JSONDecoder, text: str, idx: int = 0) -> tuple[Any, int]:
    try:
        return _decode(decoder, text, idx)
    except RecursionError:
        shallow = cut(text[idx:])
        value, end = _decode(decoder, shallow)
        return value, len(text) - (len(shallow) - end)
