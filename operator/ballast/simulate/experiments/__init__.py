"""Experiments: files that say what is compared, frozen before their first result, and what runs them."""
