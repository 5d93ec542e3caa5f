#!/usr/bin/env bash
# Brings the real stores of docker-compose.yml up and down, see docs/real-stores.md.
# Exit code 1: it did not work; 2: wrong usage.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit "${2:-1}"
}

usage='usage: just up [minio|localstack|all], just down'

# Loopback port, container's port and variable of a store.
ports() {
    case $1 in
        minio) echo "${MINIO_PORT:-9100} 9000 MINIO_PORT" ;;
        localstack) echo "${LOCALSTACK_PORT:-4566} 4566 LOCALSTACK_PORT" ;;
    esac
}

need_docker() {
    command -v docker >/dev/null ||
        fail "Docker is not installed: install Docker Engine or Docker Desktop and run this again"
    docker info >/dev/null 2>&1 ||
        fail "the Docker daemon does not answer: start Docker and run this again"
    docker compose version >/dev/null 2>&1 ||
        fail "Docker lacks its compose plugin: install docker-compose-plugin and run this again"
}

# The image of a service is here already, or can be fetched.
need_image() {
    local variable=LOCALSTACK_IMAGE reason
    [[ $1 != minio ]] || variable=MINIO_IMAGE
    reason=$(docker compose --profile init pull --quiet --policy missing "$1" 2>&1) ||
        fail "the image of $1 could not be fetched, $variable=NAME:TAG names another: ${reason##*$'\n'}"
}

need_port() {
    local port inside variable
    read -r port inside variable < <(ports "$1")
    [[ $port =~ ^[0-9]{1,5}$ ]] || fail "$variable must be a port, not \`$port\`" 2
    [[ $(docker compose port "$1" "$inside" 2>/dev/null) != "127.0.0.1:$port" ]] || return 0
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port is in use, so $1 can't start: choose another with $variable=PORT"
    fi
}

up() {
    local stores store service
    case $1 in
        minio | localstack) stores=("$1") ;;
        all) stores=(minio localstack) ;;
        *) fail "unknown store \`$1\`; $usage" 2 ;;
    esac
    need_docker
    for store in "${stores[@]}"; do need_port "$store"; done
    for service in "${stores[@]}" init; do need_image "$service"; done
    docker compose up -d --wait "${stores[@]}" ||
        fail "the servers did not come up: \`docker compose logs ${stores[*]}\` says why"
    for store in "${stores[@]}"; do
        docker compose run --rm -T init "$store" </dev/null ||
            fail "$store is up, but its buckets could not be made"
    done
    for store in "${stores[@]}"; do
        echo "$store answers at http://127.0.0.1:$(ports "$store" | cut -d ' ' -f 1)"
    done
}

case ${1:-} in
    up) up "${2:-all}" ;;
    down)
        need_docker
        if [[ -z $(docker compose --profile init ps --all --quiet) ]]; then
            echo "nothing is up"
            exit 0
        fi
        # With their volumes: the next `up` starts from empty stores.
        docker compose --profile init down --volumes --remove-orphans ||
            fail "the servers could not be removed"
        ;;
    *) fail "$usage" 2 ;;
esac
