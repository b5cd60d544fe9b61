"""How long the training is. transformers tells how far it is at most every 5 seconds, so a step takes its time."""

from __future__ import annotations

STEPS = 40
EVALUATE_EVERY = 20
"""Ten seconds: each evaluation is in two updates, or more."""
SECONDS_PER_STEP = 0.5
BATCH = 2
EXAMPLES_PER_EPOCH = 32
