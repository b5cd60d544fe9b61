"""The kubelet's device plugin interface; the stubs are rendered by `python -m tests.protos`."""
