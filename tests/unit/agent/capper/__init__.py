"""The capper, over GPUs in memory."""
