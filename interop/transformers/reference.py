"""Computes with transformers what the Go test compares its own figures with.

usage: reference.py DIR...

Each DIR holds model/ (an exported model directory) and case.json: texts, and batches,
each with the sequences' tokens, segments, labels (-100 where nothing is predicted;
a causal model's stand one place to the right of where it predicts) and, for BERT,
pair labels. Written beside them: reference.safetensors with the logits, loss
and gradients of the first batch and, when the case asks to train, the weights
after a step on each batch; reference.json with the token ids of the texts and, for a
causal model, the tokens it continues the first sequence with, the likeliest each
time; and saved/, where the case asks for it: the model as transformers saves it, in
shards, and bare/: its trunk alone.
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
    """The optimiser of a case; "bert" is AdamW without bias correction. No decay on
    biases and LayerNorm."""
    groups = {True: [], False: []}
    for name, p in model.named_parameters():
        groups[p.ndim > 1].append(p)
    kind = case.get("optimizer", "bert")
    if kind == "sgd":
        return torch.optim.SGD(model.parameters(), lr=case["lr"], momentum=0.9)
    if kind == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=case["lr"])
    if kind == "adafactor":
        return transformers.Adafactor(
            model.parameters(), lr=case["lr"], scale_parameter=False, relative_step=False, warmup_init=False
        )
    if kind == "adamw":
        return torch.optim.AdamW(
            [
                {"params": groups[True], "weight_decay": case["decay"]},
                {"params": groups[False], "weight_decay": 0.0},
            ],
            lr=case["lr"],
        )
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
    torch.set_num_threads(1)
    for directory in sys.argv[1:]:
        torch.manual_seed(0)
        compute(pathlib.Path(directory))


def compute(here):
    case = json.loads((here / "case.json").read_text())
    model, info = AutoModelForPreTraining.from_pretrained(here / "model", output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[kind]:
            sys.exit(f"{here}: {kind}: {info[kind]}")
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

    said = {}
    if model.config.model_type == "gpt2":
        said["continued"] = continue_text(model, case["batches"][0]["tokens"][0], case.get("continue", 0))
    if case.get("save"):
        model.save_pretrained(here / "saved", max_shard_size=int(case["save"]))
        model.base_model.save_pretrained(here / "bare")
    if case["train"]:
        train(model, case, out)
    save_file({k: v.detach().contiguous() for k, v in out.items()}, here / "reference.safetensors")

    tokenizer = AutoTokenizer.from_pretrained(here / "model")
    said["ids"] = [tokenizer(text)["input_ids"] for text in case["texts"]]
    (here / "reference.json").write_text(json.dumps(said))


@torch.no_grad()
def continue_text(model, prompt, n):
    """The likeliest token n times, with the model's own cache."""
    ids, past, out = torch.tensor([prompt]), None, []
    for _ in range(n):
        result = model(ids, past_key_values=past, use_cache=True)
        past = result.past_key_values
        ids = result.logits[:, -1:].argmax(-1)
        out.append(int(ids))
    return out


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


if __name__ == "__main__":
    main()
