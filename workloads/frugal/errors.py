"""What can go wrong and is the user's to fix.

Every message names the field, its value and the remedy; anything else that is raised is a defect of ours.
"""

from __future__ import annotations


class FrugalError(Exception):
    """Root of the errors that frugal raises on purpose."""


class ConfigError(FrugalError):
    """A setting that cannot be used.

    Args:
        field: The setting's name as the user wrote it.
        value: What it was set to.
        remedy: What to write instead.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field}={value!r}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


class DataError(FrugalError):
    """A data set that is missing or unreadable."""


class CheckpointError(FrugalError):
    """A checkpoint that is sound but cannot be written, read or used for this run."""


class TechniqueError(FrugalError):
    """A technique that is unknown, or techniques that cannot be combined."""
