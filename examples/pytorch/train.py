"""A training loop in PyTorch over the batches of 'corpus serve', which resumes by step number.

  corpus serve --mix books:0.3,wiki:0.7 --objective roberta --batch 32 --socket /tmp/batches.sock
  python examples/pytorch/train.py /tmp/batches.sock 200 checkpoint.pt

Run again with more steps it goes on where the checkpoint stands: the data order is in the step
number, and no loader state is kept. The model is a small encoder that predicts hidden tokens and,
where there are labels of sequences, those; visibility comes from the ranks, so that 'bert', 'gpt'
and what lies between run through the same lines.
"""
import os
import sys

import torch
from torch import nn
from torch.nn import functional as F

from batches import arrays, batches


class Encoder(nn.Module):
    def __init__(self, vocabulary, longest, classes, width=64, heads=4, layers=2):
        super().__init__()
        self.heads = heads
        self.tokens, self.places, self.segments = nn.Embedding(vocabulary, width), nn.Embedding(longest, width), nn.Embedding(3, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.trunk = nn.TransformerEncoder(layer, layers)
        for table in (self.tokens, self.places, self.segments):
            nn.init.normal_(table.weight, std=0.02)
        self.norm = nn.LayerNorm(width)
        self.sequence = nn.Linear(width, classes)

    def forward(self, b):
        x = self.tokens(b["input_ids"]) + self.places(b["position_ids"]) + self.segments(b["token_type_ids"])
        seen = b["attention_mask"].bool()
        if seen.dim() == 2:
            seen = seen[:, None, :].expand(-1, seen.shape[1], -1)
        seen = seen | torch.eye(seen.shape[1], dtype=torch.bool)  # padding sees itself, lest its softmax is empty
        return self.norm(self.trunk(x, mask=~seen.repeat_interleave(self.heads, 0)))

    def loss(self, b):
        x = self(b)
        at = b["mlm_labels"] >= 0
        loss = F.cross_entropy(x[at] @ self.tokens.weight.T, b["mlm_labels"][at]) if at.any() else x.sum() * 0
        if "sequence_label" in b:
            loss = loss + F.cross_entropy(self.sequence(x[:, 0]), b["sequence_label"])
        return loss


def train(address, steps, checkpoint):
    """Trains up to a number of steps and returns the losses of those it made."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    state = torch.load(checkpoint) if os.path.exists(checkpoint) else {"step": 0}
    model = optimiser = None
    losses = []
    for step, batch in batches(address, state["step"], steps):
        if model is None:
            meta = batch.schema.metadata
            model = Encoder(int(meta[b"vocabulary"]), int(meta[b"longest"]), int(meta.get(b"sequence_classes", 2)))
            optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
            if "model" in state:
                model.load_state_dict(state["model"])
                optimiser.load_state_dict(state["optimiser"])
        b = {name: torch.from_numpy(array.copy()) for name, array in arrays(batch).items()}
        loss = model.loss(b)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    if model is not None:
        torch.save({"step": steps, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, checkpoint + ".new")
        os.replace(checkpoint + ".new", checkpoint)
    return losses


if __name__ == "__main__":
    first = train(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    for n, loss in enumerate(first):
        print(int(sys.argv[2]) - len(first) + n, loss)
