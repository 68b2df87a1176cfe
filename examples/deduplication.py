"""Forwards each order once: duplicates within a day are dropped.

    BOOTSTRAP_SERVERS=localhost:9092 python -m examples.deduplication

The key of a record is its id. An id is remembered for a day of record time, then it expires by
itself. The table commits with the outputs, so a crash neither forgets an id nor loses a record.
"""

import logging
import os
import sys

from engine import BatchStream, EngineApp, run_worker

PREFIX = os.environ.get("TOPIC_PREFIX", "")
DAY_MS = 86_400_000

app = EngineApp(
    f"{PREFIX}deduplication",
    bootstrap_servers=os.environ.get("BOOTSTRAP_SERVERS", "localhost:9092"),
    topic_partitions=int(os.environ.get("PARTITIONS", "1")),
)
orders = app.batch_topic(f"{PREFIX}orders", decode=bytes)
table = app.transactional_table("seen", encode=b"%d".__mod__, decode=int, expires_ms=int)


@app.agent(orders)
async def forward(stream: BatchStream) -> None:
    """A value of the table is the time at which its id is forgotten."""
    async for batch in stream:
        seen = table.partition(batch)
        for record in batch:
            order_id = str(record.key)
            if order_id not in seen:
                seen[order_id] = record.timestamp_ms + DAY_MS
                batch.emit(f"{PREFIX}orders.once", key=order_id, value=record.value)


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    sys.exit(run_worker(app))
