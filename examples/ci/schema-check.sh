#!/bin/sh
# Fails when a migration would harm the consumers of the pipeline's topics. Writes nothing but a throw-away database.
#
#   SERVER_URL=postgres://ci@localhost:5432/postgres REGISTRY_URL=http://registry:8081 \
#   TABLES='public.*' TOPIC_PREFIX=shop sh schema-check.sh migrations/0042_price.sql …
#
# FAIL_ON: the mildest verdict that fails (breaks-replay). OUTPUT: human, json, markdown or github.
set -eu

: "${SERVER_URL:?a server on which databases may be made and dropped}"
: "${REGISTRY_URL:?the schema registry of the pipeline}"
: "${TABLES:?the tables of the pipeline, such as public.*}"
: "${TOPIC_PREFIX:?the topic prefix of the pipeline}"

status=0
"${HEADWATER:-headwater}" schema check \
    --server "$SERVER_URL" --migration "$@" \
    --registry-url "$REGISTRY_URL" --tables "$TABLES" --topic-prefix "$TOPIC_PREFIX" \
    --fail-on "${FAIL_ON:-breaks-replay}" --output "${OUTPUT:-human}" || status=$?

case $status in
    0) echo "schema check: go on" ;;
    6) echo "schema check: ask the consumers first" ;;
    7) echo "schema check: consumers would break" ;;
    8) echo "schema check: consumers would read wrong values" ;;
    *) echo "schema check: it could not be done" ;;
esac
exit $status
