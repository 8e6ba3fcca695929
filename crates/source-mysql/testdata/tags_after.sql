-- only: mysql
-- What a file says of those before it, when tags are among them.
create table t (id int primary key, a int)
insert into t values (7, 7)
