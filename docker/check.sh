#!/bin/bash
# Checks the Docker files without a container engine:
#
#   docker/check.sh compose     loads docker-compose.yml with the Compose specification's reference loader (needs Go)
#   docker/check.sh image       builds the Dockerfile with buildah (needs root, buildah, debootstrap)
#
# The image build makes its base images from the distribution and the local Rust toolchain and tags them with the names
# that the Dockerfile uses, because no image registry is asked. It proves that every instruction works and that the binary
# starts in the final image; it does not prove that the official base images hold the same packages.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${HEADWATER_DOCKER_CACHE:-target/docker}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

compose() {
    if [ ! -x "$cache/bin/cmd" ]; then
        GOBIN="$cache/bin" go install github.com/compose-spec/compose-go/v2/cmd@latest
    fi
    DATABASE_PASSWORD=x SOURCE_PASSWORD=x "$cache/bin/cmd" docker-compose.yml >"$cache/compose.yml"
    echo "docker-compose.yml: $(grep -c 'image:' "$cache/compose.yml") services"
}

bud() {
    buildah --root "$cache/storage" --runroot "$cache/run" --storage-driver vfs "$@"
}

# base NAME FOLDER...: an image of that name that holds the folders' contents, each FOLDER given as SOURCE:TARGET.
base() {
    local name=$1 container pair
    shift
    if bud inspect --type image "$name" >/dev/null 2>&1; then return; fi
    container=$(bud from scratch)
    for pair in "$@"; do
        bud add --quiet "$container" "${pair%%:*}" "${pair##*:}" >/dev/null
    done
    bud config --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    bud config --env CARGO_HOME=/usr/local/cargo --env CARGO_NET_OFFLINE=true "$container"
    bud commit --quiet "$container" "$name" >/dev/null
    bud rm "$container" >/dev/null
}

# The toolchain without its documentation, and the crates of Cargo.lock, so that the build needs no crate registry.
toolchain() {
    rm -rf "$cache/toolchain" "$cache/cargo"
    mkdir -p "$cache/toolchain" "$cache/cargo/registry"
    tar -C "$(rustc --print sysroot)" --exclude=share -cf - . | tar -C "$cache/toolchain" -xf -
    cargo fetch --locked --quiet
    local home=${CARGO_HOME:-$HOME/.cargo}
    cp -a "$home/registry/index" "$home/registry/cache" "$cache/cargo/registry/"
}

image() {
    if [ ! -e "$cache/bookworm/etc/debian_version" ]; then
        debootstrap --variant=minbase bookworm "$cache/bookworm"
    fi
    base docker.io/library/debian:bookworm-slim "$cache/bookworm:/"
    toolchain
    base docker.io/library/rust:1.95.0-bookworm "$cache/bookworm:/" "$cache/toolchain:/usr/local" "$cache/cargo:/usr/local/cargo"
    bud bud --isolation chroot --network host --pull=never --format docker --tag headwater:check .
    local container
    container=$(bud from --pull=never headwater:check)
    bud run --isolation chroot "$container" -- headwater --version
    bud run --isolation chroot "$container" -- id --user
    bud rm "$container" >/dev/null
}

case ${1:-all} in
compose) compose ;;
image) image ;;
all) compose && image ;;
*) sed -n '2,6p' "$0" >&2 && exit 64 ;;
esac
