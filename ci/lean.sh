#!/usr/bin/env bash
# ci/lean.sh BOOTSTRAP: the Lambda's binary is small and has one TLS stack.
set -euo pipefail

limit=11000000
size=$(stat --format=%s "$1")
echo "bootstrap: $size bytes, limit $limit"
((size <= limit)) || { echo "too large" >&2; exit 1; }

tree=$(cargo tree --locked --no-default-features --edges normal --prefix none)
for banned in aws-lc-rs openssl native-tls s3s clap axum; do
    if grep --quiet "^$banned " <<<"$tree"; then
        echo "$banned is in the Lambda's binary" >&2
        exit 1
    fi
done
