-- only: mariadb
-- Columns of before MySQL 5.6, which MariaDB can still make.
set global mysql56_temporal_format = off
-- afterwards: set global mysql56_temporal_format = on
create table old (id int primary key, a time, b datetime, c timestamp null, d date)
set sql_mode = ''
insert into old values (1,'-838:59:59','1000-01-01 00:00:00','1970-01-01 00:00:01','2000-01-01'), (2,'12:34:56','9999-12-31 23:59:59','2038-01-19 03:14:07','2000-01-01'), (3,'-00:00:01','0000-00-00 00:00:00','0000-00-00 00:00:00','0000-00-00'), (4,null,null,null,null), (5,'838:59:59','2024-00-15 01:02:03','2000-02-29 01:02:03','2024-01-00')
