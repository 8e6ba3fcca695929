-- only: mariadb
-- MariaDB's own types.
-- catalogue
create table addresses (id int primary key, u uuid, i inet6, s char(16) character set latin1)
insert into addresses values (1, '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', 'x'), (2, '00000000-0000-0000-0000-000000000000', '::', 'y'), (3, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '::ffff:192.0.2.128', 'z'), (4, null, null, null), (5, '018f3f6e-0000-7000-8000-000000000000', '::192.0.2.1', ''), (6, '00000000-0000-1000-8000-000000000001', '1::', ''), (7, '6ccd780c-baba-1026-9564-5b8c656024db', 'fe80::1', ''), (8, '6ccd780c-baba-4026-9564-5b8c656024db', '::1', ''), (9, '6ccd780c-baba-8026-9564-5b8c65602400', '2001:0:0:1::1', ''), (10, '6ccd780c-baba-5026-1564-5b8c65602400', '1:2:3:4:5:6:7:0', ''), (11, null, '0:2:3:4:5:6:7:8', ''), (12, null, '1:0:0:4:5:0:0:8', ''), (13, null, '::1:0', ''), (14, null, '::ffff:0:1', ''), (15, null, '::ffff', ''), (16, null, '::1:2:3', '')
create table packed (id int primary key, a varchar(300) compressed, b text compressed character set latin1, c blob compressed, d longtext compressed, e varbinary(300) compressed)
insert into packed values (1, repeat('ü', 200), repeat('é', 3000), repeat('b', 3000), repeat('long', 9000), repeat('v', 300)), (2, '', '', '', '', ''), (3, 'a', 'é', 'b', 'c', 'd'), (4, null, null, null, null, null)
update packed set b = 'short' where id = 1
create table docs (id int primary key, j json, g int generated always as (json_value(j, '$.a')) stored, v int generated always as (id + 1) virtual, h int invisible default 5)
insert into docs (id, j) values (1, '{"a": 1,  "b":2}'), (2, '[]')
create table versioned (id int primary key, a int) with system versioning
set timestamp = 1700000000
insert into versioned values (1, 1)
set timestamp = 1700000001
update versioned set a = 2 where id = 1
set timestamp = default
create sequence seq start with 5 increment by 3 cache 2
do nextval(seq)
do nextval(seq)
do nextval(seq)
-- only here: mariadb-10.11, mariadb-11.8
create table four (id int primary key, i inet4)
insert into four values (1, '192.0.2.1'), (2, '0.0.0.0'), (3, '255.255.255.255'), (4, '10.0.0.0'), (5, null)
-- only here: mariadb-11.8
create table vectors (id int primary key, v vector(3) not null)
insert into vectors values (1, vec_fromtext('[1,2,3]')), (2, vec_fromtext('[0,0,0]')), (3, vec_fromtext('[-1.5,0.5,0]'))
