-- Geometry in every shape, generated and hidden columns, vectors.
create table shapes (id int primary key, g geometry, p point, l linestring, a polygon, mp multipoint, ml multilinestring, ma multipolygon, gc geometrycollection)
insert into shapes values (1, st_geomfromtext('point(1 2)', 4326), st_geomfromtext('point(-1.5 2)'), st_geomfromtext('linestring(0 0, 1 1)'), st_geomfromtext('polygon((0 0, 0 1, 1 1, 0 0))'), st_geomfromtext('multipoint(0 0, 1 1)'), st_geomfromtext('multilinestring((0 0, 1 1), (2 2, 3 3))'), st_geomfromtext('multipolygon(((0 0, 0 1, 1 1, 0 0)))'), st_geomfromtext('geometrycollection(point(1 1), linestring(0 0, 1 1))')), (2, null, null, null, null, null, null, null, null)
-- only here: mysql
create table vectors (id int primary key, v vector(3), w vector)
insert into vectors values (1, string_to_vector('[1,2,3]'), string_to_vector('[-1.5,1e30]')), (2, null, null)
create table hidden (id int primary key, a int, g int generated always as (a * 2) stored, v int generated always as (a * 3) virtual, h int invisible default 5, j json, index ((a + 1)), index ((cast(j->'$.tags' as unsigned array))))
insert into hidden (id, a, j) values (1, 1, '{"tags": [1, 2]}'), (2, null, null)
update hidden set a = 7, j = '{"tags": [9]}' where id = 1
