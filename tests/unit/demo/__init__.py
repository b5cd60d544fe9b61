"""The demo's judgement and what it shows, on plain data."""
