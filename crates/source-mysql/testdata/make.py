#!/usr/bin/env python3
"""Makes the corpus: runs each .sql file on a real server, keeps the binlog that came of it and what the server says of its rows.

    make.py FLAVOUR PORT DATADIR [NAME ...]      FLAVOUR: mysql, mariadb-10.11, mariadb-11.8; needs PyMySQL, and root on the server

NAME.sql holds one statement a line; `-- only: mysql, mariadb-11.8` in its first line says where it runs. Every statement that
changes rows of a table with a column `id` gives lines in FLAVOUR.NAME.expected: what happened (I, B and A for an update's two
images, D), the table, and the columns as the server renders them: text in utf8mb4 (CAST AS CHAR), bytes as hexadecimal digits after
0x, NULL as \\N, more than
3000 characters as \\#length:crc32. `-- catalogue` writes information_schema's columns to FLAVOUR.NAME.catalogue as well.
"""
import os, re, sys, zlib
import pymysql

flavour, port, datadir, *wanted = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))

def connect():
    c = pymysql.connect(host="127.0.0.1", port=int(port), user="root", password="", charset="utf8mb4", autocommit=True)
    return c.cursor()

def escape(text):
    if text is None:
        return "\\N"
    if isinstance(text, bytes):
        text = text.decode("utf8")
    if len(str(text)) > 3000:
        raw = str(text).encode()
        return f"\\#{len(raw)}:{zlib.crc32(raw):08x}"
    return str(text).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")

def rendering(name, kind, full):
    q = "`" + name.replace("`", "``") + "`"
    if kind in ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector", "geometry", "point", "linestring",
                "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection"):
        return f"concat('0x', hex({q}))"
    if kind == "bit":
        bits = int(re.search(r"\d+", full).group())
        return f"concat('0x', lpad(hex({q}+0), {(bits + 7) // 8 * 2}, '0'))"
    if kind == "float":
        return f"cast({q} as double)"
    if kind == "double":
        return q
    return f"convert(cast({q} as char) using utf8mb4)"

def tables(cur):
    cur.execute("select table_name, column_name, data_type, column_type from information_schema.columns "
                "where table_schema = 'corpus' order by table_name, ordinal_position")
    found = {}
    for table, column, kind, full in cur.fetchall():
        found.setdefault(table, []).append((column, rendering(column, kind, full)))
    return {table: columns for table, columns in found.items() if columns[0][0] == "id"}

def rows(cur):
    found = {}
    for table, columns in tables(cur).items():
        cur.execute(f"select {', '.join(x for _, x in columns)} from corpus.`{table}` order by id")
        found[table] = {row[0]: [repr(x) if isinstance(x, float) else escape(x) for x in row] for row in cur.fetchall()}
    return found

def changes(line, before, after):
    for table in after:
        old, new = before.get(table, {}), after[table]
        gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        if line.startswith("update") and len(gone) == len(come) == 1:   # the row got another key
            yield ["B", table, *old[gone[0]]]
            yield ["A", table, *new[come[0]]]
            continue
        for key in sorted(set(old) | set(new), key=int):
            if key not in old:
                yield ["I", table, *new[key]]
            elif key not in new:
                yield ["D", table, *old[key]]
            elif old[key] != new[key]:
                yield ["B", table, *old[key]]
                yield ["A", table, *new[key]]

def run(name):
    lines = open(os.path.join(here, name + ".sql"), encoding="utf8").read().splitlines()
    only = re.search(r"only: (.*)", lines[0])
    if only and not any(flavour.startswith(x.strip()) for x in only.group(1).split(",")):
        return
    look = connect()
    look.execute("set time_zone = '+00:00'")
    for word in ("drop database if exists corpus", "create database corpus"):
        look.execute(word)
    for line in lines:
        first = re.match(r"-- first: (.*)", line)
        if first:
            look.execute(first.group(1))
    work, expected = connect(), []
    setting = re.compile(r"set (global|persist)", re.I)
    started, skip = False, "select 1"
    for line in lines:
        line = line.strip()
        mark = re.match(r"-- only here: (.*)", line)
        if mark:
            skip = None if any(flavour.startswith(x.strip()) for x in mark.group(1).split(",")) else "skip"
            continue
        if line == "-- everywhere":
            skip = None
            continue
        if not line or line.startswith("--") or skip == "skip":
            continue
        if not started and not setting.match(line):
            look.execute("flush binary logs")
            look.execute("show binary logs")
            log = look.fetchall()[-1][0]
            work = connect()
            work.execute("use corpus")
            work.execute("set time_zone = '+00:00'")
            started = True
        before = rows(look) if started else {}
        work.execute(line)
        if started and not re.match(r"(create|drop|alter|truncate|rename|set) ", line, re.I):
            expected += changes(line, before, rows(look))
    catalogue = []
    if any(line.strip() == "-- catalogue" for line in lines):
        look.execute("select table_name, column_name, column_type, character_set_name, column_key from information_schema.columns "
                     "where table_schema = 'corpus' order by table_name, ordinal_position")
        catalogue = [[escape(x) for x in row] for row in look.fetchall()]
    look.execute("flush binary logs")
    for line in lines:
        undo = re.match(r"-- afterwards: (.*)", line)
        if undo:
            look.execute(undo.group(1))
    base = os.path.join(here, f"{flavour}.{name}")
    data = open(os.path.join(datadir, log), "rb").read()
    for suffix, content in ((".binlog", data), (".expected", "".join("\t".join(x) + "\n" for x in expected).encode()),
                            (".catalogue", "".join("\t".join(x) + "\n" for x in catalogue).encode())):
        if content:
            with open(base + suffix, "wb") as f:
                f.write(content)
    print(f"{flavour}.{name}: {len(data)} bytes, {len(expected)} images")

for name in wanted or sorted(f[:-4] for f in os.listdir(here) if f.endswith(".sql")):
    try:
        run(name)
    except Exception as error:
        print(f"{flavour}.{name}: {error}")
