-- only: mysql
-- Whole transactions in one event, compressed.
set global binlog_transaction_compression = on
-- afterwards: set global binlog_transaction_compression = off
create table packed (id int primary key, v varchar(100), j json)
insert into packed with recursive s(n) as (select 1 union all select n+1 from s where n < 700) select n, concat('value number ', n, repeat('-', n % 50)), json_object('n', n) from s
begin
update packed set v = upper(v) where id < 20
delete from packed where id > 690
insert into packed values (1000, 'ü', null)
insert into packed values (1001, 'large', json_array(repeat('large', 14000), 70000, -70000, 4000000000, 1, true, null, 'inline', json_object('k', 70000, 'nested', json_array(1, -2, 1.5))))
commit
