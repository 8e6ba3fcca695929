-- Row images without what did not change, and table maps without names.
-- catalogue
set global binlog_row_image = minimal
-- only here: mysql
set global binlog_row_metadata = minimal
-- only here: mariadb
set global binlog_row_metadata = no_log
-- everywhere
-- afterwards: set global binlog_row_image = full
-- afterwards: set global binlog_row_metadata = full
create table lean (id int primary key, a bigint unsigned, b varchar(20) character set latin1, c enum('x','y'), d text, e set('p','q'), f binary(4), g decimal(5,2))
insert into lean values (1, 18446744073709551615, 'é', 'y', 'text', 'p,q', 'ab', -1.5), (2, 2, 'b', 'x', 'more', '', 'abcd', 0)
update lean set b = 'ç' where id = 1
update lean set id = 3, d = null where id = 2
delete from lean where id = 3
