"""The same ten jobs under plain kube-scheduler and under Ballast, on simulated GPUs of two models."""
