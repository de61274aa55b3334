"""Computes with transformers what the Go test compares its own figures with.

usage: reference.py DIR

DIR holds model/ (an exported model directory) and case.json: texts, and batches,
each with the sequences' tokens, segments, labels (-100 where nothing is predicted;
a causal model's stand one place to the right of where it predicts) and, for BERT,
pair labels. Written beside them: reference.safetensors with the logits, loss
and gradients of the first batch and, when the case asks to train, the weights
after a step on each batch; and reference.json with the token ids of the texts.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForPreTraining, AutoTokenizer


def padded(rows, fill):
    width = max(map(len, rows))
    return torch.tensor([r + [fill] * (width - len(r)) for r in rows])


def inputs(batch, model):
    out = {
        "input_ids": padded(batch["tokens"], model.config.pad_token_id or 0),
        "attention_mask": padded([[1] * len(r) for r in batch["tokens"]], 0),
        "labels": padded(batch["labels"], -100),
    }
    if model.config.model_type == "bert":
        out["token_type_ids"] = padded(batch["segments"], 0)
        out["next_sentence_label"] = torch.tensor(batch["pairs"])
    return out


def optimizer(model, case):
    """AdamW as BERT has it: no bias correction, no decay on biases and LayerNorm."""
    groups = {True: [], False: []}
    for name, p in model.named_parameters():
        groups[p.ndim > 1].append(p)
    return transformers.AdamW(
        [
            {"params": groups[True], "weight_decay": case["decay"]},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=case["lr"],
        betas=(0.9, 0.999),
        eps=1e-6,
        correct_bias=False,
        no_deprecation_warning=True,
    )


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    here = pathlib.Path(sys.argv[1])
    case = json.loads((here / "case.json").read_text())
    model, info = AutoModelForPreTraining.from_pretrained(here / "model", output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[kind]:
            sys.exit(f"{kind}: {info[kind]}")
    out = {}

    model.eval()
    first = inputs(case["batches"][0], model)
    result = model(**first)
    wanted = first["labels"] != -100
    if model.config.model_type == "bert":
        out["token_logits"] = result.prediction_logits[wanted]
        out["pair_logits"] = result.seq_relationship_logits
    elif model.config.model_type == "gpt2":
        out["token_logits"] = result.logits[:, :-1][wanted[:, 1:]]
    else:
        out["token_logits"] = result.logits[wanted]
    out["loss"] = result.loss.reshape(1)
    result.loss.backward()
    for name, p in model.named_parameters():
        out["grad." + name] = p.grad.clone()

    if case["train"]:
        train(model, case, out)
    save_file({k: v.detach().contiguous() for k, v in out.items()}, here / "reference.safetensors")

    tokenizer = AutoTokenizer.from_pretrained(here / "model")
    ids = [tokenizer(text)["input_ids"] for text in case["texts"]]
    (here / "reference.json").write_text(json.dumps(ids))


def train(model, case, out):
    # The configuration has no dropout, so this is deterministic.
    model.train()
    opt = optimizer(model, case)
    schedule = transformers.get_linear_schedule_with_warmup(opt, case["warmup"], len(case["batches"]))
    for batch in case["batches"]:
        opt.zero_grad()
        model(**inputs(batch, model)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        schedule.step()
    for name, p in model.named_parameters():
        out["trained." + name] = p.detach()


main()
