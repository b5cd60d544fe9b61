"""Hugging Face transformers reports by itself, when the pod's environment says where."""
