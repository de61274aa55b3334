"""Reads served batches with pyarrow and compares every column with what the server's side built.

Takes a file with a list of streams, each with a socket, a Flight address and the expected batches,
flat as they are built, and the token of the Flight addresses.
"""
import json
import os
import pathlib
import sys

import numpy as np
import pyarrow as pa
from pyarrow import flight

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "pytorch"))
from batches import arrays, batches

with open(sys.argv[1]) as f:
    streams = json.load(f)
token = sys.argv[2]


def expected(b):
    """The columns that a batch should have, row by row."""
    bounds = b["SeqBounds"]
    rows = range(len(bounds) - 1)

    def split(flat):
        return [flat[bounds[i] : bounds[i + 1]] for i in rows]

    def at_positions(positions, values):
        out = [[] for _ in rows]
        for j, p in enumerate(positions):
            row = next(i for i in rows if bounds[i] <= p < bounds[i + 1])
            out[row].append(values(j, bounds[row]))
        return out

    import base64

    segments = list(base64.b64decode(b["Segments"]))
    predict = b["Predict"] or []
    origins = b["Origins"] or []
    e = {
        "index": [o["Index"] for o in origins],
        "source": [o["Source"] for o in origins],
        "task": [o["Task"] for o in origins],
        "epoch": [o["Epoch"] for o in origins],
        "tokens": split(b["Tokens"]),
        "segments": split(segments),
        "positions": [list(range(bounds[i + 1] - bounds[i])) for i in rows],
        "predict": at_positions(predict, lambda j, start: predict[j] - start),
        "documents": [[s["Doc"] for s in o["Spans"]] for o in origins],
        "document_starts": [[s["Start"] for s in o["Spans"]] for o in origins],
        "document_ends": [[s["End"] for s in o["Spans"]] for o in origins],
    }
    if b["Ranks"] is not None:
        e["ranks"] = split(b["Ranks"])
    if b["Values"] is not None:
        e["values"] = at_positions(predict, lambda j, start: b["Values"][j])
    else:
        e["labels"] = at_positions(predict, lambda j, start: b["Labels"][j])
    if b["Noise"] is not None:
        e["noise"] = at_positions(b["Noise"], lambda j, start: b["Noise"][j] - start)
    if b["SpanStarts"] is not None:
        e["span_starts"] = at_positions(predict, lambda j, start: b["SpanStarts"][j] - start)
        e["span_ends"] = at_positions(predict, lambda j, start: b["SpanEnds"][j] - start)
    if b["TargetBounds"] is not None:
        t = b["TargetBounds"]
        e["targets"] = [b["Targets"][t[i] : t[i + 1]] for i in rows]
    for name, key in [("sequence_label", "PairLabels"), ("sequence_value", "SequenceValues"), ("partner", "Partners")]:
        if b[key] is not None:
            e[name] = b[key]
    return e


def same(a, b):
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return np.float32(a) == np.float32(b) if isinstance(a, float) or isinstance(b, float) else a == b


def check(stream, address):
    n = 0
    for step, batch in batches(address, stream["First"], stream["First"] + len(stream["Batches"]), stream["Rank"], stream["Ranks"]):
        want = stream["Batches"][n]
        assert want["Step"] == step, (want["Step"], step)
        e = expected(want)
        assert set(batch.schema.names) == set(e), (stream["Objective"], batch.schema.names, list(e))
        for name, values in e.items():
            got = batch.column(name).to_pylist()
            assert same(got, values), (stream["Objective"], address, step, name, got, values)
        batch.validate(full=True)
        meta = batch.schema.metadata
        assert meta[b"objective"].decode() == stream["Objective"]
        assert (meta[b"two_stream"] == b"true") == want["TwoStream"]
        assert int(meta.get(b"classes", 0)) == want["Classes"]
        check_arrays(stream["Objective"], arrays(batch), e, want)
        n += 1
    assert n == len(stream["Batches"]), (n, address)


def check_arrays(objective, a, e, want):
    """The padded arrays say what the columns say."""
    for i, tokens in enumerate(e["tokens"]):
        n = len(tokens)
        assert a["input_ids"][i, :n].tolist() == tokens and a["token_type_ids"][i, :n].tolist() == e["segments"][i]
        mask = a["attention_mask"][i]
        if "ranks" not in e:
            assert mask[:n].all() and not mask[n:].any()
        else:
            r = e["ranks"][i]
            for name, see in [("attention_mask", lambda j, k: r[k] <= r[j]), ("query_mask", lambda j, k: r[k] < r[j])]:
                if name in a:
                    for j in range(mask.shape[0]):
                        for k in range(mask.shape[0]):
                            assert a[name][i, j, k] == (j < n and k < n and see(j, k)), (objective, name, i, j, k)
        p = e["predict"][i]
        assert [x for x in a["predict"][i].tolist() if x >= 0] == p
        if "labels" in e:
            assert a["mlm_labels"][i][p].tolist() == e["labels"][i] and (a["mlm_labels"][i] != -100).sum() == len(set(p)), objective
        if "noise" in e:
            assert np.flatnonzero(a["noise"][i]).tolist() == e["noise"][i]
        if "targets" in e:
            assert [x for x in a["decoder_labels"][i].tolist() if x != -100] == e["targets"][i]
    assert ("query_mask" in a) == want["TwoStream"] and ("ranks" in e or not want["TwoStream"])


def refused(call, *errors):
    try:
        call()
    except errors as e:
        return str(e)
    raise AssertionError("it was not refused")


for stream in streams:
    check(stream, stream["Socket"])
    os.environ["TRIBUTARY_TOKEN"] = token
    check(stream, stream["Flight"])
    for wrong in [None, "other", token + "x", ""]:
        os.environ.pop("TRIBUTARY_TOKEN")
        if wrong is not None:
            os.environ["TRIBUTARY_TOKEN"] = wrong
        said = refused(lambda: list(batches(stream["Flight"], 0, 1)), flight.FlightUnauthenticatedError)
        assert "token" in said, said
        os.environ["TRIBUTARY_TOKEN"] = token
    said = refused(lambda: list(batches(stream["Flight"], 5, 4)), pa.ArrowInvalid)
    assert "is no request" in said, said
    said = refused(lambda: list(batches(stream["Socket"], 0, 1, rank=1, ranks=1)), ConnectionError)
    assert "is no request" in said, said
print(len(streams), "streams,", sum(len(s["Batches"]) for s in streams), "steps, each over Flight and a socket")
