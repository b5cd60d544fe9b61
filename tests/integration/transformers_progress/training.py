"""A training script as its author would write it: nothing in it knows of Ballast.

Run as ``-m tests.integration.transformers_progress.training FOLDER LOG``; leaves what its own trainer logged in LOG.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

from .shape import BATCH, EVALUATE_EVERY, EXAMPLES_PER_EPOCH, SECONDS_PER_STEP, STEPS


class Tokens(Dataset[dict[str, Tensor]]):
    """A few sequences that are easy to learn."""

    def __init__(self, examples: int, seconds: float = 0.0) -> None:
        self._examples = examples
        self._seconds = seconds

    def __len__(self) -> int:
        return self._examples

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        time.sleep(self._seconds)
        tokens = (torch.arange(8) + index) % 16
        return {"input_ids": tokens, "labels": tokens}


def main(folder: Path, log: Path) -> None:
    """Train, and leave the log."""
    set_seed(1)
    config = GPT2Config(
        vocab_size=16, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        eval_strategy="steps",
        eval_steps=EVALUATE_EVERY,
        logging_steps=1,
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=GPT2LMHeadModel(config),
        args=arguments,
        train_dataset=Tokens(EXAMPLES_PER_EPOCH, SECONDS_PER_STEP / BATCH),
        eval_dataset=Tokens(4),
    )
    trainer.train()
    log.write_text(json.dumps(trainer.state.log_history))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
