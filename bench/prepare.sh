# shellcheck shell=bash
# What the benchmarks and gates share: the release binaries, and the C programs around them. Sourced with
# $root set. WEIR_BINARY in the environment is measured as it is, and nothing is built but the rest.

# shellcheck source=deploy/prepare.sh
. "$root/deploy/prepare.sh"

# Builds what is measured and what measures, and exports where it lies.
build_bench() {
    local folder=$root/.build/bench name
    require_build
    require_packages /usr/bin/python3=python3 cc=gcc strip=binutils
    if [ -z "${WEIR_BINARY:-}" ]; then
        build_release weir bench-load
        export WEIR_BINARY="$binaries/weir"
    else
        build_release bench-load
    fi
    mkdir -p "$folder"
    for name in origin relay crowd flows; do
        cc -O2 -Wall -pthread -o "$folder/$name" "$root/bench/native/$name.c"
    done
    export LOAD_BINARY="$binaries/bench-load" ORIGIN_BINARY="$folder/origin" RELAY_BINARY="$folder/relay"
    export CROWD_BINARY="$folder/crowd" FLOWS_BINARY="$folder/flows"
}
