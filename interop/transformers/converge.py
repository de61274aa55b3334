"""Trains with transformers on batches that the Go test wrote, and tells the losses.

usage: converge.py DIR

DIR holds model/ (a model directory with the initial weights), case.json (the
learning rate of each step, the optimiser's constants, and whether logits are
computed at the predicted positions only) and batches.jsonl, a batch a line, as
reference.py reads them; the lines after the last step are evaluated at the end.
Written beside them: losses.json with the loss of every step and the mean token loss
of the evaluation.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForPreTraining

from reference import inputs


def optimizer(model, case):
    groups = {True: [], False: []}
    for p in model.parameters():
        groups[p.ndim > 1].append(p)
    groups = [
        {"params": groups[True], "weight_decay": case["decay"]},
        {"params": groups[False], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1.0, betas=(case["beta1"], case["beta2"]), eps=case["epsilon"])


def main():
    torch.set_num_threads(1)
    here = pathlib.Path(sys.argv[1])
    case = json.loads((here / "case.json").read_text())
    model = AutoModelForPreTraining.from_pretrained(here / "model")
    opt = optimizer(model, case)
    losses, total, targets = [], 0.0, 0
    model.train()  # the configuration has no dropout
    with open(here / "batches.jsonl") as lines:
        for step, line in enumerate(lines):
            batch = inputs(json.loads(line), model)
            if step == len(case["rates"]):
                model.eval()
            if step >= len(case["rates"]):
                with torch.no_grad():
                    n = int((batch["labels"] != -100).sum())
                    total += float(model(**batch).loss) * n
                    targets += n
                continue
            for group in opt.param_groups:
                group["lr"] = case["rates"][step]
            opt.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            losses.append(float(loss))
            if step % 50 == 0:
                print(step, losses[-1], file=sys.stderr, flush=True)
    held = total / targets if targets else None
    (here / "losses.json").write_text(json.dumps({"losses": losses, "heldout": held}))


if __name__ == "__main__":
    main()
