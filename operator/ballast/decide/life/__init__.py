"""The life of an attempt: its next step, its end and whose fault that was, its ledger and what it tells."""
