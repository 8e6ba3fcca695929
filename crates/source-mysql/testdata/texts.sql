-- Lengths, padding, labels, bytes.
create table texts (id int primary key, a char(1), b char(255) character set utf8mb4, c varchar(255) character set latin1, d varchar(256) character set latin1, e varchar(100), f tinytext, g text, h mediumtext, i longtext, j char(10) character set latin1) character set utf8mb4
insert into texts values (1,'','','','','','','','','',''), (2,'x',repeat('𠀀',255),repeat('é',255),repeat('ÿ',256),'grüße\t\n\0\\\'"','€','你好','한국어','русский','trail   '), (3,' ','a b  ','  ','  ','  ',' ',' ',' ',' ','  lead'), (4,null,null,null,null,null,null,null,null,null,null)
update texts set g = repeat('x', 300), i = null where id = 3
create table bytes (id int primary key, a binary(1), b binary(10), c binary(255), d varbinary(10), e varbinary(300), f tinyblob, g blob, h mediumblob, i longblob)
insert into bytes values (1,'','','','','','','','',''), (2,'a','abc',repeat('a',255),unhex('00ff00'),repeat(unhex('ff'),300),unhex('ff'),unhex('0000'),unhex('c328'),unhex('80')), (3,unhex('00'),unhex('61000000'),unhex('0001'),unhex('0000'),'',unhex('00'),'  ',' ','x'), (4,null,null,null,null,null,null,null,null,null)
create table labels (id int primary key, a enum('x','y','it''s','a,b'), b set('a','b','c','d','e','f','g','h','i'), c enum('ä','€') character set latin1, d set('ß','ö') character set utf8mb4, e enum('你','好') character set gbk, s smallint unsigned)
set sql_mode = ''
insert into labels values (1,'x','a','ä','ß','你',1), (2,'it\'s','a,c,i','€','ß,ö','好',2), (3,'a,b','','bad','','',65535), (4,null,null,null,null,null,null), (5,'bad','a,b,c,d,e,f,g,h,i',2,3,1,0)
create table many (id int primary key, a enum('v000','v001') , b set('m01','m02','m03','m04','m05','m06','m07','m08','m09','m10','m11','m12','m13','m14','m15','m16','m17','m18','m19','m20','m21','m22','m23','m24','m25','m26','m27','m28','m29','m30','m31','m32','m33','m34','m35','m36','m37','m38','m39','m40','m41','m42','m43','m44','m45','m46','m47','m48','m49','m50','m51','m52','m53','m54','m55','m56','m57','m58','m59','m60','m61','m62','m63','m64'))
insert into many values (1,'v001','m01,m64'), (2,'v000',18446744073709551615)
create table `wunder.bar` (id int primary key, `größe $` int, unique key (`größe $`)) comment 'a name that hurts'
insert into `wunder.bar` values (1, 7)
