"""The speed of the way most people pre-train: transformers' Trainer.

    users.py DOCUMENTS STEPS THREADS

DOCUMENTS is a file of JSON lines with the tokens of a document each, as
`corpus export --format jsonl` writes it, with [CLS] and [SEP] or without. Every
document is a sequence, cut at 128 tokens; batches of 32 are padded to their longest;
15 % of the tokens are hidden; a BERT-mini with dropout 0.1 computes logits at every
position. Prints the documents' own tokens, padding left out, for each second of
processor time, from the fifth step on, and the share of padding.
"""

import json
import sys
import time

import torch
import transformers

CLS, SEP, MASK, PAD, VOCAB = 101, 102, 103, 0, 30522
SEQUENCES, LENGTH, FIRST = 32, 128, 5


class Documents(torch.utils.data.Dataset):
    def __init__(self, path):
        with open(path) as lines:
            self.rows = [json.loads(line)["tokens"] for line in lines]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        ids = [t for t in self.rows[i] if t not in (CLS, SEP)]
        return [CLS, *ids[: LENGTH - 2], SEP]


class Collator:
    """Pads and hides, as transformers' own collator does, and counts."""

    def __init__(self):
        self.real, self.all = [], []
        self.generator = torch.Generator().manual_seed(1)

    def __call__(self, rows):
        width = max(map(len, rows))
        ids = torch.tensor([r + [PAD] * (width - len(r)) for r in rows])
        here = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])
        self.real.append(int(here.sum()))
        self.all.append(ids.numel())
        words = (here == 1) & (ids != CLS) & (ids != SEP)
        hidden = (torch.rand(ids.shape, generator=self.generator) < 0.15) & words
        labels = torch.where(hidden, ids, -100)
        draw = torch.rand(ids.shape, generator=self.generator)
        other = torch.randint(VOCAB, ids.shape, generator=self.generator)
        ids = torch.where(hidden & (draw < 0.8), MASK, ids)
        ids = torch.where(hidden & (draw >= 0.9), other, ids)
        return {"input_ids": ids, "attention_mask": here, "labels": labels}


class Clock(transformers.TrainerCallback):
    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **kwargs):
        self.times.append((time.process_time(), time.monotonic()))


def main():
    path, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    config = transformers.BertConfig(
        vocab_size=VOCAB, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    collator, clock = Collator(), Clock()
    trainer = transformers.Trainer(
        model=transformers.BertForMaskedLM(config),
        args=transformers.TrainingArguments(
            output_dir="unused", max_steps=steps, per_device_train_batch_size=SEQUENCES, learning_rate=1e-4,
            save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=steps,
        ),
        train_dataset=Documents(path), data_collator=collator, callbacks=[clock],
    )
    trainer.train()
    real = sum(collator.real[FIRST:steps])
    cpu = clock.times[steps - 1][0] - clock.times[FIRST - 1][0]
    wall = clock.times[steps - 1][1] - clock.times[FIRST - 1][1]
    padding = 1 - real / sum(collator.all[FIRST:steps])
    print(f"{threads} threads: {real / cpu:.0f} tokens/cpu-s, {real / wall:.0f} tokens/s, {100 * padding:.0f} % padding", flush=True)


if __name__ == "__main__":
    main()
