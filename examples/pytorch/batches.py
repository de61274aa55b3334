"""Batches of 'corpus serve' in a training loop that resumes by step number.

  corpus serve --mix books:0.3,wiki:0.7 --socket /tmp/batches.sock
  python examples/pytorch/batches.py /tmp/batches.sock 0 100

An address such as grpc://127.0.0.1:8815 in place of the socket asks over Arrow
Flight; the environment variable TRIBUTARY_TOKEN holds the token, if any.
"""
import os
import socket
import sys

import numpy as np
import pyarrow as pa


def batches(address, first, last, rank=0, ranks=1):
    """Yields (step, record batch) for the steps [first, last)."""
    request = f"{first} {last} {rank} {ranks}"
    if "://" in address:
        from pyarrow import flight
        token = os.environ.get("TRIBUTARY_TOKEN")
        options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())] if token else [])
        with flight.connect(address) as client:
            for i, chunk in enumerate(client.do_get(flight.Ticket(request.encode()), options)):
                yield first + i, chunk.data
        return
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(address)
        s.sendall(request.encode() + b"\n")
        with s.makefile("rb") as f, pa.ipc.open_stream(f) as stream:
            for i, batch in enumerate(stream):
                yield first + i, batch
                if first + i + 1 == last:
                    return


def padded(batch, pad=0):
    """Token ids and labels as rectangles; labels are -100 where nothing is predicted."""
    rows = batch.to_pydict()
    width = max(map(len, rows["tokens"]))
    ids = np.full((batch.num_rows, width), pad, np.int64)
    labels = np.full((batch.num_rows, width), -100, np.int64)
    for i, tokens in enumerate(rows["tokens"]):
        ids[i, : len(tokens)] = tokens
        labels[i, rows["predict"][i]] = rows["labels"][i]
    return ids, labels


if __name__ == "__main__":
    try:
        import torch
    except ImportError:
        torch = None
    for step, batch in batches(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):
        ids, labels = padded(batch)
        if torch is not None:
            ids, labels = torch.from_numpy(ids), torch.from_numpy(labels)
            # loss = model(ids, labels=labels).loss; loss.backward(); ...
        print(step, tuple(ids.shape), int((labels >= 0).sum()), int(ids.sum()))
