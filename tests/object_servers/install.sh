#!/usr/bin/env bash
# Install the test servers that do not come from PyPI, as far as this machine lets us: Debian's
# packages as root, Azurite where there is npm. What is there already costs nothing.
# With --required, print the servers that tests must find after that (`all`, or their names).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
ATTEMPTS=2 # a mirror hiccups
PACKAGES=(radosgw ceph-mon ceph-osd memcached swift-proxy swift-account swift-container swift-object)
PROGRAMS=(radosgw ceph-mon ceph-osd memcached swift-proxy-server swift-account-server
    swift-container-server swift-object-server)

has_debian_servers() { type -P "${PROGRAMS[@]}" >/dev/null; }
can_install_packages() { [[ $EUID == 0 && -e /etc/debian_version ]]; }
has_npm() { type -P node npm >/dev/null; }

required() {
    local names=(rclone moto gcs)
    if has_npm; then names+=(azurite); fi
    if has_debian_servers || can_install_packages; then names+=(ceph swift); fi
    if [[ ${#names[@]} == 6 ]]; then echo all; else echo "${names[*]}"; fi
}

repeated() {
    local attempt
    for ((attempt = 1; attempt < ATTEMPTS; attempt++)); do
        "$@" && return
        echo "again: $*" >&2
    done
    "$@"
}

# Debian starts what it installs, under a system manager: the tests start servers of their own.
install_packages() {
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        made=yes
    fi
    apt_get -qq update
    apt_get -qq -y install --no-install-recommends "${PACKAGES[@]}"
    if [[ $made ]]; then rm $policy; fi
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive repeated apt-get "$@" >"$LOG" 2>&1 || {
        cat "$LOG" >&2
        return 1
    }
}

install_azurite() {
    # A copy of the lock that was installed says whether it still is the current one.
    cmp -s package-lock.json node_modules/.installed.json && return
    repeated npm ci --silent --no-progress
    cp package-lock.json node_modules/.installed.json
}

if [[ ${1-} == --required ]]; then
    required
    exit
fi

LOG=$(mktemp "${TMPDIR:-/tmp}/longshore-install-XXXXXX")
trap 'rm -f "$LOG"' EXIT
if has_debian_servers; then
    echo "Ceph and Swift are installed."
elif can_install_packages; then
    echo "Installing Ceph and Swift from Debian's packages."
    install_packages
else
    echo "Ceph and Swift are left out: only root can install Debian's packages."
fi
if has_npm; then
    install_azurite
    echo "Azurite is installed."
else
    echo "Azurite is left out: node and npm are not installed."
fi
