-- only: mysql
-- Transactions with tags, and the files' lists of what came before.
-- first: reset binary logs and gtids
create table t (id int primary key, a int)
set gtid_next = 'automatic:first_tag'
insert into t values (1, 1)
insert into t values (2, 2)
set gtid_next = 'automatic:b'
insert into t values (3, 3)
set gtid_next = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:some_tag:77'
insert into t values (4, 4)
set gtid_next = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:9223372036854775806'
insert into t values (5, 5)
set gtid_next = 'automatic'
insert into t values (6, 6)
