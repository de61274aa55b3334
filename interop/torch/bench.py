"""The speed of PyTorch on what model/kernel and model are timed on.

    bench.py gemm                       products of BERT's shapes
    bench.py step MODEL tuned|usual     whole training steps

Prints, for one thread and then two, the least processor time of a round, which
other work on the machine disturbs less than the clock and the mean. "tuned" takes
the vocabulary's logits at the predicted positions only, has no dropout, and a
fused AdamW; "usual" is the model of transformers as it comes: logits at every
position, dropout 0.1, AdamW as torch chooses it.
"""

import resource
import sys
import time

import torch

BERT = {"bert-tiny": (2, 128, 2, 512), "bert-mini": (4, 256, 4, 1024), "bert-base": (12, 768, 12, 3072)}


def best(f, rounds, seconds=6.0):
    """The least processor time of f over some rounds."""
    f()
    least, begin = float("inf"), time.monotonic()
    for _ in range(rounds):
        start = time.process_time()
        f()
        least = min(least, time.process_time() - start)
        if time.monotonic() - begin > seconds:
            break
    return least


def gemm():
    for form, m, n, k in [
        ("NT", 4096, 1024, 256), ("NN", 4096, 256, 1024), ("TN", 1024, 256, 4096), ("NT", 4096, 256, 1024),
        ("NT", 1024, 3072, 768), ("NN", 1024, 768, 3072), ("TN", 3072, 768, 1024), ("NT", 1024, 768, 768),
        ("NT", 30522, 192, 256),
    ]:
        a = torch.zeros(k, m).t() if form == "TN" else torch.zeros(m, k)
        b = torch.zeros(n, k).t() if form == "NT" else torch.zeros(k, n)
        c = torch.zeros(m, n)
        t = best(lambda: torch.mm(a, b, out=c), 60, 2.0)
        print(f"{torch.get_num_threads()} threads {form}/{m}x{n}x{k}: {2 * m * n * k / t / 1e9:.1f} GFLOP/cpu-s", flush=True)


def bert(name, usual):
    from transformers import BertConfig, BertForPreTraining

    layers, hidden, heads, inner = BERT[name]
    drop = 0.1 if usual else 0.0
    config = BertConfig(
        vocab_size=30522, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, hidden_dropout_prob=drop, attention_probs_dropout_prob=drop,
    )
    model = BertForPreTraining(config)
    model.train()
    sequences = 8 if name == "bert-base" else 32
    tokens = torch.randint(0, 30522, (sequences, 128))
    segments = torch.zeros_like(tokens)
    predicted = torch.arange(3, tokens.numel(), 7)
    labels = torch.randint(0, 30522, (len(predicted),))
    pairs = torch.zeros(sequences, dtype=torch.long)
    everywhere = torch.full((tokens.numel(),), -100)
    everywhere[predicted] = labels
    loss = torch.nn.CrossEntropyLoss()

    def forward():
        if usual:
            mask = torch.ones_like(tokens)
            return model(
                input_ids=tokens, attention_mask=mask, token_type_ids=segments,
                labels=everywhere.view_as(tokens), next_sentence_label=pairs,
            ).loss
        out = model.bert(input_ids=tokens, token_type_ids=segments)
        rows = out.last_hidden_state.view(-1, hidden)[predicted]
        return loss(model.cls.predictions(rows), labels) + loss(model.cls.seq_relationship(out.pooler_output), pairs)

    return model, forward, tokens.numel()


def gpt2(usual):
    from transformers import GPT2Config, GPT2LMHeadModel

    drop = 0.1 if usual else 0.0
    model = GPT2LMHeadModel(GPT2Config(resid_pdrop=drop, embd_pdrop=drop, attn_pdrop=drop))
    model.train()
    tokens = torch.randint(0, 50257, (4, 256))
    return model, lambda: model(input_ids=tokens, labels=tokens, use_cache=False).loss, tokens.numel()


def step(name, how):
    usual = how == "usual"
    model, forward, tokens = gpt2(usual) if name == "gpt2" else bert(name, usual)
    fused = {} if usual else {"fused": True}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, **fused)

    def once():
        optimiser.zero_grad(set_to_none=True)
        forward().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    for threads in (1, 2):
        torch.set_num_threads(threads)
        t = best(once, 8, 25.0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name} {how}, {threads} threads: {tokens / t:.0f} tokens/cpu-s, peak {peak:.0f} MiB", flush=True)


if __name__ == "__main__":
    torch.manual_seed(1)
    if sys.argv[1] == "gemm":
        for threads in (1, 2):
            torch.set_num_threads(threads)
            gemm()
    else:
        step(*sys.argv[2:])
