"""Counts words, exactly once: a word per record of `words`, its running count in `counts`.

    BOOTSTRAP_SERVERS=localhost:9092 python -m examples.word_count

A word is also the key of its records, so that all of them are in one partition. Kill the process at
any time and start it again: no word is lost or counted twice.
"""

import logging
import os
import sys

import msgspec

from engine import BatchStream, EngineApp, run_worker

PREFIX = os.environ.get("TOPIC_PREFIX", "")

app = EngineApp(
    f"{PREFIX}word-count",
    bootstrap_servers=os.environ.get("BOOTSTRAP_SERVERS", "localhost:9092"),
    topic_partitions=int(os.environ.get("PARTITIONS", "1")),
)
words = app.batch_topic(f"{PREFIX}words", decode=bytes.decode)
table = app.transactional_table("counts", encode=msgspec.json.encode, decode=msgspec.json.decode)


@app.agent(words)
async def count(stream: BatchStream) -> None:
    """One transaction per poll: counts and outputs commit together with the offsets."""
    async for batch in stream:
        counts = table.partition(batch)
        for record in batch:
            counts[record.value] = counts.get(record.value, 0) + 1
            batch.emit(f"{PREFIX}counts", key=record.value, value=b"%d" % counts[record.value])


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    sys.exit(run_worker(app))
