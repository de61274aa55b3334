"""Writes tables as pyarrow and datasets do, for the readers of records to read.

usage: tables.py DIRECTORY

Beside each table, or directory of them, lies the same in JSON, NAME.want.jsonl: a
line {"text": ..., "id": ...} for each row, null where there is no text.
"""

import datetime
import json
import os
import sys

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict

root = sys.argv[1]
rows = 2500
texts = [None if i % 11 == 0 else f"Row {i}: é 日本 " + "word " * (i % 300) for i in range(rows)]
ids = [f"r{i}" for i in range(rows)]
when = [datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=i) for i in range(rows)]
nested = [{"body": t, "tags": ["a", "b"]} for t in texts]
lists = [None if t is None else t.split(": ") for t in texts]


def want(name, values, ids=ids):
    with open(os.path.join(root, name + ".want.jsonl"), "w", encoding="utf-8") as out:
        for text, id in zip(values, ids):
            out.write(json.dumps({"text": text, "id": id}) + "\n")


plain = pa.table({"score": pa.array(range(rows), pa.float64()), "text": pa.array(texts, pa.string()), "id": pa.array(ids), "when": pa.array(when)})
large = plain.set_column(1, "text", pa.array(texts, pa.large_string()))
words = plain.set_column(1, "text", pa.array(texts).dictionary_encode())
struct = pa.table({"id": pa.array(ids), "doc": pa.array(nested)})
split = pa.table({"id": pa.array(ids), "text": pa.array(lists, pa.list_(pa.string()))})
joined = [None if t is None else "\n\n".join(t) for t in lists]

for codec in ["none", "snappy", "gzip", "zstd", "brotli"]:
    pq.write_table(plain, f"{root}/plain-{codec}.parquet", compression=codec, row_group_size=700)
    want(f"plain-{codec}.parquet", texts)
pq.write_table(plain, f"{root}/v2.parquet", data_page_version="2.0", compression="zstd", use_dictionary=False, column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY", "id": "DELTA_BYTE_ARRAY"})
want("v2.parquet", texts)
pq.write_table(large, f"{root}/large.parquet", data_page_size=1 << 12)
want("large.parquet", texts)
pq.write_table(words, f"{root}/words.parquet")
want("words.parquet", texts)
pq.write_table(struct, f"{root}/struct.parquet")
want("struct.parquet", texts)
pq.write_table(split, f"{root}/list.parquet")
want("list.parquet", joined)

for name, table, values in [("plain", plain, texts), ("large", large, texts), ("words", words, texts), ("struct", struct, texts), ("list", split, joined)]:
    for codec in [None, "lz4", "zstd"]:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        for kind, new in [("stream", pa.ipc.new_stream), ("file", pa.ipc.new_file)]:
            path = f"{name}-{codec}-{kind}.arrow"
            with new(f"{root}/{path}", table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=500)
            want(path, values)

data = Dataset.from_dict({"id": ids, "text": texts})
DatasetDict({"train": data.select(range(2000)), "test": data.select(range(2000, rows))}).save_to_disk(f"{root}/saved", num_shards={"train": 3, "test": 1})
want("saved", texts[2000:] + texts[:2000], ids[2000:] + ids[:2000])
data.to_parquet(f"{root}/hub.parquet")
want("hub.parquet", texts)
data.to_json(f"{root}/hub.jsonl")
want("hub.jsonl", texts)
