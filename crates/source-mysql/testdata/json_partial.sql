-- only: mysql
-- Changes to documents instead of documents.
set global binlog_row_value_options = PARTIAL_JSON
-- afterwards: set global binlog_row_value_options = ''
create table docs (id int primary key, a int, j json, n varchar(20), k json)
insert into docs values (1, 1, json_object('a', 1, 'b', json_array(1, 2, 3), 'c', json_object('deep', json_object('er', 'x')), 'pad', repeat('p', 200)), 'x', json_array(1, 2, repeat('q', 200)))
insert into docs values (2, 2, json_object('quo"te', 1, 'sp ace', 2, 'ü', 3, 'pad', repeat('p', 200)), 'y', null)
insert into docs values (3, 3, json_array(json_array(1, 2), json_array(3), repeat('p', 200)), 'z', '{}')
update docs set j = json_set(j, '$.a', 'longer than before') where id = 1
update docs set j = json_set(j, '$.b[1]', 20, '$.new', true, '$.zz', null) where id = 1
update docs set j = json_remove(j, '$.b[0]', '$.c.deep.er') where id = 1
update docs set j = json_remove(json_set(j, '$.c.deep.other', 1.50, '$.date', date'2020-01-02'), '$.a'), n = 'both', k = json_set(k, '$[0]', 'changed') where id = 1
update docs set j = json_array_insert(j, '$[0][1]', 'in'), k = json_set(k, '$.k', 1) where id = 3
update docs set j = json_array_append(j, '$[1]', 4) where id = 3
update docs set j = json_replace(j, '$."sp ace"', 'spaced', '$."quo\\"te"', json_array('q'), '$."ü"', 'ö') where id = 2
update docs set j = '[]', k = json_set(k, '$[1]', null) where id = 1
update docs set a = a + 1, j = json_set(j, '$[0]', a) where id in (2, 3)
update docs set j = null where id = 2
