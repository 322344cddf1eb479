# shellcheck shell=bash
# What a Debian 12 machine needs before Weir builds; sourced by deploy/demo, Tests/run and bench/run.
# Nothing is installed that is already there, and everything said here goes to stderr: stdout belongs to
# the program that is started in the end.

say() { printf '%s\n' "$*" >&2; }

# Ends with one sentence unless a Swift toolchain of at least 6.3 is on the PATH.
require_swift() {
    local wanted="6.3" found
    local how="it from https://www.swift.org/install/linux/debian/12/ and put its usr/bin on your PATH."
    if ! command -v swift >/dev/null 2>&1; then
        say "Weir needs Swift $wanted or newer and found none: install $how"
        exit 69
    fi
    found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p') || true
    found=${found%%$'\n'*}
    if [ -z "$found" ] || [ "$(printf "%s\n" "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
        say "Weir needs Swift $wanted or newer and found ${found:-an unknown one}: install $how"
        exit 69
    fi
}

# require_packages COMMAND-OR-FILE=PACKAGE ...: installs the packages whose command (or header, or module of
# /usr/bin/python3 written python:NAME) is missing.
require_packages() {
    local pair probe missing=()
    for pair in "$@"; do
        probe=${pair%%=*}
        case $probe in
        /*) [ -e "$probe" ] ;;
        python:*) /usr/bin/python3 -c "import ${probe#python:}" >/dev/null 2>&1 ;;
        pkgconfig:*) pkg-config --exists "${probe#pkgconfig:}" 2>/dev/null ;;
        *) command -v "$probe" >/dev/null 2>&1 ;;
        esac || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            say "These packages are missing and only root can install them: apt-get install ${missing[*]}"
            exit 69
        fi
        as_root=(sudo)
    fi
    say "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# What the build itself needs.
require_build() {
    require_swift
    require_packages pkg-config=pkg-config
    require_packages pkgconfig:openssl=libssl-dev
}

# build_release PRODUCT ...: builds products of the tree at $root as they are deployed: release, with Swift's
# libraries linked in, which needs no toolchain where it runs and 10 MB less memory. Sets $binaries.
build_release() {
    local product flags=(--package-path "$root" --configuration release --static-swift-stdlib)
    for product in "$@"; do
        swift build "${flags[@]}" --product "$product" >&2
    done
    binaries=$(swift build "${flags[@]}" --show-bin-path)
}
