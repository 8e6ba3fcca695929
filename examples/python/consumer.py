#!/usr/bin/env python3
"""Keeps a copy of one PostgreSQL table in SQLite, from the topic that headwater writes.

    consumer.py --brokers localhost:9092 --registry http://localhost:8081 --topic shop.public.orders --sqlite copy.db

The copy and the position in the topic are written in one SQLite transaction, so the program can be killed at any time and
started again: every event takes effect once. Needs confluent-kafka and fastavro.
"""

import argparse
import datetime
import io
import json
import sqlite3
import struct
import sys
import time
import urllib.request

import fastavro
import fastavro.read
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

EPOCH = datetime.datetime(1970, 1, 1)
BATCH = 500


def iso(micros, zone):
    """ISO 8601 where Python's calendar reaches, the number itself where it does not (years before 1 and after 9999)."""
    try:
        return (EPOCH + datetime.timedelta(microseconds=micros)).isoformat(sep=" ") + zone
    except OverflowError:
        return micros


def iso_date(days):
    try:
        return (EPOCH + datetime.timedelta(days=days)).date().isoformat()
    except OverflowError:
        return days


# SQLite has no dates and decimals: they are kept as text. These readers replace fastavro's own, which raise an error for
# years that PostgreSQL knows and Python does not.
fastavro.read.LOGICAL_READERS.update({
    "long-timestamp-micros": lambda value, *_: iso(value, "+00:00"),
    "long-local-timestamp-micros": lambda value, *_: iso(value, ""),
    "int-date": lambda value, *_: iso_date(value),
    "long-time-micros": lambda value, *_: iso(value, "").split(" ")[1] if value < 86_400_000_000 else "24:00:00",
    "string-uuid": lambda value, *_: value,
})


class Decoder:
    """Decodes what a schema registry's serialiser framed: a zero byte, the schema's id, the Avro body."""

    def __init__(self, registry):
        self.registry = registry.rstrip("/")
        self.schemas = {}

    def schema(self, schema_id):
        if schema_id not in self.schemas:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{schema_id}", timeout=30) as answer:
                self.schemas[schema_id] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return self.schemas[schema_id]

    def decode(self, data):
        if data is None:
            return None
        magic, schema_id = struct.unpack(">bI", data[:5])
        if magic != 0:
            raise ValueError(f"not a framed record: it begins with byte {magic}")
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.schema(schema_id))


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def plain(value):
    """What SQLite can hold: decimals and lists as text."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=str)
    return str(value)


class Copy:
    """The table in SQLite. Its primary key `_key` is the record's key as JSON; other columns come and go with the events."""

    def __init__(self, path, topic):
        self.topic = topic
        self.table = topic.rsplit(".", 1)[-1]
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("create table if not exists _offsets (topic, partition, next, primary key (topic, partition))")
        self.db.execute(f"create table if not exists {quoted(self.table)} (_key text primary key)")
        self.columns = {row[1] for row in self.db.execute(f"pragma table_info({quoted(self.table)})")}

    def next_offset(self, partition):
        found = self.db.execute(
            "select next from _offsets where topic = ? and partition = ?", (self.topic, partition)
        ).fetchone()
        return found[0] if found else OFFSET_BEGINNING

    def save_offset(self, partition, offset):
        self.db.execute("insert or replace into _offsets values (?, ?, ?)", (self.topic, partition, offset))

    def apply(self, key, event):
        if event is None:
            return  # A tombstone, for compaction. The delete came before it.
        if event["op"] == "t":
            self.db.execute(f"delete from {quoted(self.table)}")
            return
        if key is None:
            raise ValueError(f"{self.topic} has a record without a key: a copy by key is not possible")
        identity = json.dumps(key, default=str, sort_keys=True)
        if event["op"] == "d":
            self.db.execute(f"delete from {quoted(self.table)} where _key = ?", (identity,))
        else:
            self.upsert(identity, self.row(event))

    @staticmethod
    def row(event):
        """The new row. A null that stands for a value which the log did not carry is left out, so the copy keeps what it
        has; a value that Avro's type cannot hold is taken as the text that the event brings along."""
        row = dict(event["after"])
        for absent in event["absent"]:
            image, _, field = absent["field"].partition(".")
            if image != "after":
                continue
            if absent["text"] is not None:
                row[field] = absent["text"]
            else:
                row.pop(field, None)
        return row

    def upsert(self, identity, row):
        for name in row:
            if name not in self.columns:
                self.db.execute(f"alter table {quoted(self.table)} add column {quoted(name)}")
                self.columns.add(name)
        names = ["_key", *map(quoted, row)]
        values = [identity, *map(plain, row.values())]
        update = ", ".join(f"{name} = excluded.{name}" for name in names)
        self.db.execute(
            f"insert into {quoted(self.table)} ({', '.join(names)}) values ({', '.join('?' * len(names))}) "
            f"on conflict (_key) do update set {update}",
            values,
        )


def partitions(consumer, topic, deadline):
    """The topic's partitions; the topic appears with the first change of its table."""
    while True:
        found = consumer.list_topics(topic, timeout=10).topics[topic]
        if found.error is None and found.partitions:
            return sorted(found.partitions)
        if deadline is not None and time.monotonic() > deadline:
            sys.exit(f"topic {topic} does not exist")
        time.sleep(0.2)


def run(options):
    decoder = Decoder(options.registry)
    copy = Copy(options.sqlite, options.topic)
    consumer = Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": f"copy-of-{options.topic}",  # Required by the client; offsets are kept in SQLite.
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
    })
    idle = options.until_idle
    deadline = None if idle is None else time.monotonic() + idle
    numbers = partitions(consumer, options.topic, deadline)
    consumer.assign([TopicPartition(options.topic, number, copy.next_offset(number)) for number in numbers])
    events, last = 0, time.monotonic()
    try:
        while idle is None or time.monotonic() - last < idle:
            messages = consumer.consume(BATCH, timeout=0.5)
            if not messages:
                continue
            copy.db.execute("begin")
            for message in messages:
                if message.error():
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        continue
                    raise KafkaException(message.error())
                copy.apply(decoder.decode(message.key()), decoder.decode(message.value()))
                copy.save_offset(message.partition(), message.offset() + 1)
                events += 1
            copy.db.execute("commit")
            last = time.monotonic()
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
        copy.db.close()
    print(f"{events} records applied to {options.sqlite}")


def main():
    parser = argparse.ArgumentParser(description="Keeps a copy of one table in SQLite from headwater's topic.")
    parser.add_argument("--brokers", required=True, help="bootstrap servers, host:port")
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--sqlite", required=True, help="path of the SQLite database")
    parser.add_argument("--until-idle", type=float, metavar="SECONDS", help="stop after so long without a record")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
