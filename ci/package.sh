#!/usr/bin/env bash
# ci/package.sh [arm64] [x86_64]: the zips that go to Lambda, both if none is named. Prints their paths
# and sizes. cargo-lambda links by zig, against a C library as old as Lambda's.
set -euo pipefail
export PIP_ROOT_USER_ACTION=ignore
cd "$(dirname "$0")/.."

cargo_lambda=1.9.2
zig=0.15.2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/s3-replicator
tools=$cache/package-$cargo_lambda-$zig
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

architectures=("$@")
((${#architectures[@]})) || architectures=(arm64 x86_64)
for architecture in "${architectures[@]}"; do
    case $architecture in
        arm64 | x86_64) ;;
        *)
            echo "unknown architecture \`$architecture\`; usage: ci/package.sh [arm64] [x86_64]" >&2
            exit 2
            ;;
    esac
done

if [[ ! -d $tools ]]; then
    rm -rf "$tools.new"
    python3 -m pip install --quiet --disable-pip-version-check --target "$tools.new" \
        "cargo-lambda==$cargo_lambda" "ziglang==$zig"
    ln -s ../ziglang/zig "$tools.new/bin/zig"
    mv "$tools.new" "$tools"
fi
export PATH=$tools/bin:$PATH

mkdir -p target/lambda
for architecture in "${architectures[@]}"; do
    case $architecture in
        arm64) triple=aarch64-unknown-linux-gnu ;;
        x86_64) triple=x86_64-unknown-linux-gnu ;;
    esac
    rustup target list --installed | grep --quiet "^$triple$" || rustup --quiet target add "$triple"
    made=$CARGO_TARGET_DIR/lambda-$architecture
    # What is built of which features stands in Cargo.toml.
    cargo lambda build --locked --release --target "$triple" --output-format zip \
        --lambda-dir "$made" >&2
    package=target/lambda/s3-replicator-$architecture.zip
    cp "$made/bootstrap/bootstrap.zip" "$package"
    echo "$package $(stat --format=%s "$package") bytes"
done
