"""Logs carry what a call adds: as fields for machines, behind the message for people."""

from __future__ import annotations

import json
import logging

import pytest

from ballast import logs


def test_text_shows_what_a_call_adds(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "text")
    logging.getLogger("ballast.test").warning("cannot list yet", extra={"error": "no answer"})
    assert capsys.readouterr().err.rstrip().endswith("WARNING ballast.test: cannot list yet error=no answer")


def test_json_has_a_field_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    logging.getLogger("ballast.test").warning("cannot list yet", extra={"error": "no answer"})
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["error"]) == ("WARNING", "cannot list yet", "no answer")
