"""The sidecar of each training pod: what the pod draws, how far its training is, and its last words.

Standard library and prometheus_client only: every training pod pays for what is imported here.
"""
