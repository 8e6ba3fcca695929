#!/bin/bash
# Runs once, when the database is new: a small shop, and a role for headwater with what docs/sources/postgres.md asks for.
set -euo pipefail
password=$(cat /run/secrets/source_password)
if [ -z "$password" ]; then
    echo "SOURCE_PASSWORD is empty: set it in docker/.env" >&2
    exit 1
fi
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$password" <<'SQL'
create table customers (
    id bigint generated always as identity primary key,
    name text not null,
    email text
);
create table orders (
    id bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    amount numeric(12, 2) not null,
    status text not null default 'new',
    created_at timestamptz not null default now()
);
insert into customers (name, email) values ('Ada', 'ada@example.org'), ('Grace', null);

create role headwater login replication password :'password';
grant connect on database shop to headwater;
grant usage on schema public to headwater;
grant select on all tables in schema public to headwater;
create publication shop for table customers, orders;
SQL
