"""What goes wrong in a sweep and is the user's to fix."""

from __future__ import annotations

from frugal.errors import FrugalError


class SweepError(FrugalError):
    """A sweep that cannot be made, or had to be given up; says what to do, and what state the GPU is in."""


class Interrupted(SweepError):
    """A signal asked to stop; the GPU was put back."""
