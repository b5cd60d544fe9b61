"""frugal: energy-saving training workloads, one trainer that every technique plugs into.

Importing the package costs nothing: torch is imported by the modules that compute, so that ``frugal --help``
answers at once and the signal handlers stand before the slow imports begin.
"""

from __future__ import annotations
