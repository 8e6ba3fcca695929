-- only: mysql
-- Documents of every kind.
create table docs (id int primary key, j json)
insert into docs values (1, 'null'), (2, 'true'), (3, 'false'), (4, '0'), (5, '-1'), (6, '32767'), (7, '32768'), (8, '-32769'), (9, '65535'), (10, '65536'), (11, '2147483648'), (12, '-2147483649'), (13, '4294967296'), (14, '18446744073709551615'), (15, '-9223372036854775808'), (16, '"text"'), (17, '""'), (18, '[]'), (19, '{}'), (20, null)
insert into docs values (21, '{"b": 1, "a": [1, 2.5, "x", null, true, {"c": []}], "aa": {"z": -1}}'), (22, '[1e0, 1.0, 100, 1e15, 1e16, 1.5e-7, 0.1, 1e300, 5e-324, 123456789.123456789, -0.0]')
insert into docs values (23, '{"quo\\"te": "back\\\\slash / \\b\\f\\n\\r\\t \\u0001 \\u001f \\u007f", "grüße": "𠀀 \\ud83d\\ude00 \\u2028"}')
insert into docs values (24, json_array(cast('12:34:56.789' as time(3)), cast('-838:59:59' as time), cast('-00:00:00.01' as time(2)), date'2020-01-02', timestamp'2020-01-02 03:04:05.678', cast(timestamp'2020-01-02 03:04:05' as datetime), 1.50, -0.01, cast(12345678901234567890.123456789 as decimal(40,15)), cast(2020 as year), 18446744073709551615))
insert into docs values (25, json_array(cast('binary' as binary), repeat(_binary'abc', 40), b'101', x'00ff', cast('' as binary), st_geomfromtext('point(1 2)')))
insert into docs values (26, json_object('k', repeat('x', 127), 'l', repeat('y', 128), 'm', repeat('ü', 2000)))
insert into docs select 27, json_arrayagg(n) from (with recursive s(n) as (select 1 union all select n+1 from s where n < 900) select n from s) x
insert into docs select 28, json_objectagg(concat('key', n), n * 100000) from (with recursive s(n) as (select 1 union all select n+1 from s where n < 300) select n from s) x
update docs set j = json_set(j, '$.a[1]', 7) where id = 21
create table notnull (id int primary key, j json not null, k json)
insert into notnull values (1, '[1]', '{"a": 1}'), (2, '{}', null)
