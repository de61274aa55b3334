"""The batches of 'corpus serve' in Python: any range of steps, at any time.

  corpus serve --mix books:0.3,wiki:0.7 --socket /tmp/batches.sock
  python examples/pytorch/batches.py /tmp/batches.sock 0 100

An address such as grpc://127.0.0.1:8815 in place of the socket asks over Arrow
Flight; the environment variable TRIBUTARY_TOKEN holds the token, if any.

A step is one record batch with a row for each sequence. What columns there are
depends on the objective:

  index, source, task, epoch       where the sequence stands in the stream
  tokens, segments, positions      lists, one value a token
  ranks                            position i sees position j iff ranks[j] <= ranks[i]; without
                                   the column every position sees every other. With the metadata
                                   two_stream, a query stream sees j iff ranks[j] < ranks[i]
  predict, labels (or values)      the positions at which is predicted, and what
  span_starts, span_ends           for each of predict, the bounds of the hidden span it is in
  noise                            positions to whose embeddings noise is added
  targets                          what a decoder must say
  sequence_label, sequence_value   what must be said of the sequence: next sentence, class, number
  partner                          how many rows further the sequence's neighbour is
  documents, document_starts,      the parts of documents that the sequence is made of, in tokens
  document_ends
"""
import os
import socket
import sys

import numpy as np
import pyarrow as pa


def batches(address, first, last, rank=0, ranks=1):
    """Yields (step, record batch) for the steps [first, last)."""
    request = f"{first} {last} {rank} {ranks}"
    step = first
    if "://" in address:
        from pyarrow import flight
        token = os.environ.get("TRIBUTARY_TOKEN")
        options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())] if token else [])
        with flight.connect(address) as client:
            for chunk in client.do_get(flight.Ticket(request.encode()), options):
                yield step, chunk.data
                step += 1
        return
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(address)
        s.sendall(request.encode() + b"\n")
        with s.makefile("rb") as f:
            with pa.ipc.open_stream(f) as stream:
                for batch in stream:
                    yield step, batch
                    step += 1
            fault = f.read().decode()  # behind the end of the stream: why it is short
    if fault or step < last:
        raise ConnectionError(fault.strip() or f"the stream ended before step {step}")


def column(batch, name):
    """The values of a column, end to end, and the bounds of its lists (None for plain columns)."""
    c = batch.column(name)
    if pa.types.is_list(c.type):
        bounds = c.offsets.to_numpy()
        return c.values.slice(bounds[0], bounds[-1] - bounds[0]).to_numpy(zero_copy_only=False), bounds - bounds[0]
    return c.to_numpy(zero_copy_only=False), None


def rectangle(batch, name, fill=0, width=None):
    """A column of lists as an array [rows, width], filled up to the longest row."""
    values, bounds = column(batch, name)
    lengths = np.diff(bounds)
    width = int(lengths.max(initial=0)) if width is None else width
    out = np.full((len(lengths), width), fill, np.float32 if values.dtype.kind == "f" else np.int64)
    out[np.arange(width) < lengths[:, None]] = values
    return out


def arrays(batch):
    """A record batch as padded arrays, B rows of up to T tokens with up to P predictions.

    input_ids, token_type_ids, position_ids [B, T]. attention_mask [B, T], 1 for what is not padding,
    or [B, T, T] where there are ranks: [b, i, j] is 1 when i sees j; query_mask [B, T, T] likewise for
    the query stream of two_stream objectives. predict [B, P], the positions, filled with -1, and for
    each labels (-100 where there is none) or values; span_starts and span_ends [B, P]; mlm_labels
    [B, T], -100 where nothing is predicted, for objectives with labels. decoder_labels [B, D].
    sequence_label, sequence_value and partner [B]. noise [B, T], 1 where it is added.
    """
    names, meta = set(batch.schema.names), batch.schema.metadata
    pad = int(meta[b"pad"])
    ids = rectangle(batch, "tokens", pad)
    rows, width = ids.shape
    lengths = np.diff(column(batch, "tokens")[1])
    there = np.arange(width) < lengths[:, None]
    out = {
        "input_ids": ids,
        "token_type_ids": rectangle(batch, "segments"),
        "position_ids": rectangle(batch, "positions"),
        "attention_mask": there.astype(np.int64),
    }
    if "ranks" in names:
        ranks = rectangle(batch, "ranks")
        both = there[:, :, None] & there[:, None, :]
        out["attention_mask"] = ((ranks[:, None, :] <= ranks[:, :, None]) & both).astype(np.int64)
        if meta[b"two_stream"] == b"true":
            out["query_mask"] = ((ranks[:, None, :] < ranks[:, :, None]) & both).astype(np.int64)
    out["predict"] = rectangle(batch, "predict", -1)
    if "labels" in names:
        values, bounds = column(batch, "predict")
        row = np.repeat(np.arange(rows), np.diff(bounds))
        out["labels"] = rectangle(batch, "labels", -100)
        out["mlm_labels"] = np.full((rows, width), -100, np.int64)
        out["mlm_labels"][row, values] = column(batch, "labels")[0]
    if "noise" in names:
        values, bounds = column(batch, "noise")
        out["noise"] = np.zeros((rows, width), np.int64)
        out["noise"][np.repeat(np.arange(rows), np.diff(bounds)), values] = 1
    for name in ("values", "span_starts", "span_ends"):
        if name in names:
            out[name] = rectangle(batch, name)
    if "targets" in names:
        out["decoder_labels"] = rectangle(batch, "targets", -100)
    for name in ("sequence_label", "sequence_value", "partner"):
        if name in names:
            out[name] = column(batch, name)[0]
    return out


if __name__ == "__main__":
    for step, batch in batches(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):
        a = arrays(batch)
        print(step, a["input_ids"].shape, int((a["predict"] >= 0).sum()), int(a["input_ids"].sum()))
