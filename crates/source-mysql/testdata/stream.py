#!/usr/bin/env python3
"""Keeps what a server sends to a replica: stream.py FLAVOUR PORT CHECKSUM FILE [UNTIL], CHECKSUM CRC32 or NONE.

Writes FLAVOUR.CHECKSUM.stream: each event behind its length in four bytes, least first, without the byte before it in the packet. The
stream is cut after the second heartbeat, so that FILE should be the newest and small.
"""
import os, struct, sys
import pymysql
from pymysql.constants import COMMAND

flavour, port, checksum, log = sys.argv[1:5]
conn = pymysql.connect(host="127.0.0.1", port=int(port), user="root", password="", autocommit=True)
cur = conn.cursor()
for statement in (f"set @master_binlog_checksum = '{checksum}'", f"set @source_binlog_checksum = '{checksum}'",
                  "set @mariadb_slave_capability = 4", "set @master_heartbeat_period = 300000000", "set @source_heartbeat_period = 300000000"):
    cur.execute(statement)
conn._execute_command(COMMAND.COM_BINLOG_DUMP, struct.pack("<IHI", 4, 0, 4242) + log.encode())
out, beats = b"", 0
while beats < 2:
    event = conn._read_packet()._data[1:]
    out += struct.pack("<I", len(event)) + event
    beats += event[4] in (27, 41)
conn._force_close()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{flavour}.{checksum}.stream"), "wb") as f:
    f.write(out)
print(flavour, checksum, len(out))
