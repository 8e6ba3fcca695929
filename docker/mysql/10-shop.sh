#!/bin/bash
# Runs once, when the database is new, in MySQL's image and in MariaDB's: a small shop, and an account for headwater with
# what docs/sources/mysql.md asks for.
set -euo pipefail
password=$(cat /run/secrets/source_password)
if [ -z "$password" ]; then
    echo "SOURCE_PASSWORD is empty: set it in docker/.env" >&2
    exit 1
fi
password=${password//\\/\\\\}
password=${password//\'/\'\'}
client=$(command -v mariadb || command -v mysql)
MYSQL_PWD=$(cat /run/secrets/database_password) "$client" --user=root shop <<SQL
create table customers (
    id bigint auto_increment primary key,
    name varchar(200) not null,
    email varchar(200)
);
create table orders (
    id bigint auto_increment primary key,
    customer_id bigint not null,
    amount numeric(12, 2) not null,
    status varchar(20) not null default 'new',
    created_at timestamp(6) not null default current_timestamp(6),
    foreign key (customer_id) references customers (id)
);
insert into customers (name, email) values ('Ada', 'ada@example.org'), ('Grace', null);

create user 'headwater'@'%' identified by '$password';
-- MariaDB calls the second one "binlog monitor" and knows this name, too
grant replication slave, replication client on *.* to 'headwater'@'%';
grant select on shop.* to 'headwater'@'%';
SQL
