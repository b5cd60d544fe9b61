"""The same ten jobs under plain kube-scheduler and under Ballast, on simulated GPUs of two models.

Invariant: both arms run the same pods with the same work on the same boards, which begin with the same limits, and what
is compared is what the boards' own energy counters say.
"""
