"""The techniques that ``--with NAME`` finds, one module each.

A module named ``label_smoothing`` holds one `frugal.technique.Technique` subclass, offered as ``label-smoothing``.
Adding a technique is adding a file: nothing else lists them.
"""

from __future__ import annotations
