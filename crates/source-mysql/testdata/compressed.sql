-- only: mariadb
-- Compressed queries and rows.
set global log_bin_compress = on
set global log_bin_compress_min_len = 10
-- afterwards: set global log_bin_compress = off
-- afterwards: set global log_bin_compress_min_len = 256
create table squeezed (id int primary key, v varchar(300), n int)
insert into squeezed select seq, repeat(concat('value ', seq), 5), -seq from seq_1_to_400
update squeezed set v = concat(v, '!') where id between 5 and 30
delete from squeezed where id > 380
insert into squeezed values (1000, 'ü', null)
