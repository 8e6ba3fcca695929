-- Everything that is no row: DDL, savepoints, XA, statements that were logged as such.
create table t (id int primary key, a int, b timestamp(6) not null default current_timestamp(6)) engine = innodb
-- only here: mysql
set session binlog_rows_query_log_events = on
-- only here: mariadb
set session binlog_annotate_row_events = on
-- everywhere
begin
insert into t (id, a, b) values (1, 1, '2000-01-01')
savepoint one
insert into t (id, a, b) values (2, 2, '2000-01-01')
rollback to one
insert into t (id, a, b) values (3, 3, '2000-01-01')
commit
xa start 'global', 'branch', 7
insert into t (id, a, b) values (4, 4, '2000-01-01')
xa end 'global', 'branch', 7
xa prepare 'global', 'branch', 7
xa commit 'global', 'branch', 7
xa start 'one'
insert into t (id, a, b) values (5, 5, '2000-01-01')
xa end 'one'
xa commit 'one' one phase
alter table t add column c varchar(10) default 'ü'
rename table t to u, u to v
rename table v to t
truncate table t
create table logged (k int auto_increment primary key, a int)
set session binlog_format = statement
set @x = 7
insert into logged (a) values (@x)
insert into logged (a) values (rand() * 0)
set session binlog_format = row
create temporary table tmp (id int)
drop temporary table tmp
create view w as select 1
drop view w
create table s select * from t
drop table s, logged
