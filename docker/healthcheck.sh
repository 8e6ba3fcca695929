#!/bin/bash
# Asks headwater's admin listener whether it lives. bash speaks TCP by itself, so the image needs no HTTP client.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${HEADWATER_ADMIN_PORT:-9808}"
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]
