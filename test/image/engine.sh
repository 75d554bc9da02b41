# shellcheck shell=bash disable=SC2154 # run sets work
#
# What ./run needs of Docker: a client that builds, an engine that answers, and an image with Go in it. To be sourced.
#
# Where no engine answers, one of our own runs for as long as the script does. It touches no network settings, and keeps
# images and build caches under the user's cache directory, so that the next run is quick.

client=  # the docker command that works
engine=  # process of our own engine, if there is one
sockets= # directory of its sockets
go_image=

docker() { timeout --foreground --kill-after=10 300 "$client" "$@"; }

skip() {
    echo "SKIP image: $*"
    exit 0
}

# find_client takes the first docker command with which a build succeeds: one without its buildx component may well answer.
find_client() {
    for client in $(type -ap docker); do
        if docker build --quiet --tag bitbucket-oidc-test/probe - <<<$'FROM scratch\nLABEL probe=1' >/dev/null 2>&1; then
            return
        fi
    done
    return 1
}

# need COMMAND PACKAGE installs a command that is missing. Nothing is removed to make room: docker.io would take the place of another Docker.
need() {
    if type -p "$1" >/dev/null; then
        return
    fi
    type -p apt-get >/dev/null || skip "$1 is missing, and there is no apt-get to install $2 with"
    echo "installing $2"
    local install=(apt-get -o DPkg::Lock::Timeout=120 install --quiet --quiet --yes --no-install-recommends --no-remove "$2")
    export DEBIAN_FRONTEND=noninteractive
    if ! "${install[@]}" >/dev/null 2>&1; then
        apt-get -o DPkg::Lock::Timeout=120 update >/dev/null 2>&1 || true # install tells what is wrong
        "${install[@]}" >/dev/null || skip "$2 cannot be installed"
    fi
}

use_engine() {
    export DOCKER_BUILDKIT=1
    if find_client; then
        return
    fi
    need dockerd docker.io
    start_engine
    find_client || skip "the engine that runs here builds nothing"
}

start_engine() {
    local data=${XDG_CACHE_HOME:-$HOME/.cache}/bitbucket-oidc/docker lock
    mkdir -p "$data"
    (($(df --output=avail --block-size=1M "$data" | tail -1) > 3000)) || skip "less than 3 GB are free in $data"
    exec {lock}>"$data.lock"
    flock --wait 300 "$lock" || skip "another run has held $data for 5 minutes"

    # In a mount namespace, so that none of its mounts outlives it.
    sockets=$(mktemp --directory)
    export DOCKER_HOST=unix://$sockets/docker.sock
    unshare --mount dockerd --data-root="$data" --exec-root="$sockets/exec" --pidfile="$sockets/pid" --host="$DOCKER_HOST" \
        --bridge=none --iptables=false --ip6tables=false >"$sockets/log" 2>&1 {lock}>&- &
    engine=$!
    for _ in {1..300}; do
        if [[ -S $sockets/docker.sock ]]; then
            return
        fi
        kill -0 "$engine" 2>/dev/null || skip "no Docker engine runs here: $(tail -1 "$sockets/log")"
        sleep 0.1
    done
    skip "the Docker engine did not start in 30 seconds: $(tail -1 "$sockets/log")"
}

stop_engine() {
    if [[ -z $engine ]]; then
        return
    fi
    # Keeps what a build of today used, and bounds the rest.
    docker image prune --force >/dev/null 2>&1
    docker builder prune --force --keep-storage=2GB >/dev/null 2>&1
    kill "$engine" 2>/dev/null
    for _ in {1..200}; do
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$engine" 2>/dev/null; then
        kill -KILL "$(cat "$sockets/exec/containerd/containerd.pid")"
    fi
    rm -rf "$sockets"
}

# The commands that the Dockerfile uses.
commands=(sh cp mkdir chmod find touch)

# find_busybox sets busybox to one that runs where nothing else is, as in an empty image: Debian's package busybox, or another that
# comes first on PATH, may need libraries. Where there is none, Debian's static one is taken out of its package: installing it would
# remove the other.
find_busybox() {
    for busybox in $(type -ap busybox); do
        if runs_alone "$busybox"; then
            return
        fi
    done
    type -p apt-get dpkg-deb >/dev/null || skip "no busybox here runs without libraries, and there is no apt-get to fetch one with"
    echo "fetching busybox-static"
    local download=(apt-get -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User=root download --quiet --quiet busybox-static)
    mkdir "$work/busybox"
    if ! (cd "$work/busybox" && "${download[@]}" >/dev/null 2>&1); then
        apt-get -o DPkg::Lock::Timeout=120 update >/dev/null 2>&1 || true # the download says what is wrong
        (cd "$work/busybox" && "${download[@]}" >/dev/null) || skip "busybox-static cannot be fetched"
    fi
    dpkg-deb --extract "$work"/busybox/*.deb "$work/busybox"
    for busybox in "$work"/busybox/{,usr/}bin/busybox; do
        if [[ -x $busybox ]] && runs_alone "$busybox"; then
            return
        fi
    done
    skip "not even the busybox of busybox-static runs without libraries"
}

# runs_alone PROGRAM reports whether it runs in an empty folder and has the commands.
runs_alone() {
    local root=$work/alone status=0 command
    mkdir -p "$root"
    cp -L "$1" "$root/busybox"
    for command in "${commands[@]}"; do
        chroot "$root" /busybox "$command" --help >/dev/null 2>&1 || status=1
    done
    rm -rf "$root"
    return "$status"
}

# use_go_image takes the image that GO_IMAGE names, or else makes one of this machine's Go, so that no registry need be in
# reach. It has what the Dockerfile asks for and no more: no git, no bash, no coreutils.
use_go_image() {
    go_image=${GO_IMAGE:-bitbucket-oidc-test/go}
    if [[ -n ${GO_IMAGE-} ]]; then
        return
    fi
    local busybox
    find_busybox
    local bundle=/etc/ssl/certs/ca-certificates.crt settings=("ENV PATH=/usr/local/go/bin:/bin") key name value
    [[ -s $bundle ]] || skip "$bundle is missing: install ca-certificates"
    for name in GOPROXY GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB; do
        value=$(go env "$name")
        settings+=("ENV $name=$value")
    done
    for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
        if [[ -n ${!name-} ]]; then
            settings+=("ENV $name=${!name}")
        fi
    done
    # All that the image is made of: Go by its own names and dates, since its contents take long to read.
    local goroot
    goroot=$(go env GOROOT)
    key=$({ go version; find -L "$goroot" -type f -printf '%P %s %T@\n' | sort; cat "$bundle" "$busybox" "$here/engine.sh"; printf '%s\n' "${settings[@]}"; } |
        sha256sum | cut -c 1-16)
    if [[ $(docker image inspect --format '{{.Config.Labels.key}}' "$go_image" 2>/dev/null) == "$key" ]]; then
        return
    fi

    echo "importing $(go version)"
    local root=$work/go-image command
    mkdir -p "$root"/{bin,root,tmp,etc/ssl/certs,usr/local}
    chmod 1777 "$root/tmp"
    echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
    cp "$bundle" "$root/etc/ssl/certs/"
    cp -L "$busybox" "$root/bin/busybox"
    for command in "${commands[@]}"; do
        ln -s busybox "$root/bin/$command"
    done
    cp -rL "$goroot" "$root/usr/local/go"
    rm -rf "$root"/usr/local/go/{api,doc,misc,test}
    # What does not work is not kept: under its key it would be taken again.
    # /proc, by which Go finds itself, is not there yet.
    GOROOT=/usr/local/go chroot "$root" /bin/sh -c '/usr/local/go/bin/go tool compile -V' >/dev/null 2>&1 ||
        skip "this machine's Go needs libraries: name an image with Go in GO_IMAGE"
    settings+=("LABEL key=$key")
    tar -c -C "$root" . | docker import "${settings[@]/#/--change=}" - "$go_image" >/dev/null
    rm -rf "$root"
}
