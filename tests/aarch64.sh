#!/usr/bin/env bash
# Run tests on an emulated AArch64 machine, whose vectors are NEON's: `tests/aarch64.sh FOLDER PYTEST-ARGUMENTS...`.
# Debian's packages of QEMU, Python and what it loads, and PyPI's wheels, are unpacked into FOLDER; nothing is installed. About
# thirty times slower than the machine itself.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1" && folder=$(cd "$1" && pwd) && shift

apt() {  # architecture, then what apt-get is to do, with lists and packages in the folder
    local state=$folder/apt-$1 architecture=$1 && shift
    mkdir -p "$state"/{lists,cache}/partial
    apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::State="$state" \
        -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache" -o Dir::State::status=/dev/null \
        -o APT::Sandbox::User= -o APT::Install-Recommends=false "$@"
}

unpack() {  # architecture, folder, packages: with all that they depend on
    local architecture=$1 place=$2 && shift 2
    apt "$architecture" update
    apt "$architecture" install --download-only --yes "$@"
    for package in "$folder/apt-$architecture"/cache/archives/*.deb; do dpkg -x "$package" "$place"; done
}

if [ ! -e "$folder/ready" ]; then
    unpack "$(dpkg --print-architecture)" "$folder/host" qemu-user-static
    unpack arm64 "$folder/machine" python3 libstdc++6
    python=$(cd "$folder/machine/usr/bin" && echo python3.?*[0-9])
    "$root/.venv/bin/python" -m pip install --quiet --target "$folder/site" --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
        --python-version "${python#python}" --only-binary=:all: \
        $("$root/.venv/bin/python" -c 'import tomllib; project = tomllib.load(open("'"$root"'/pyproject.toml", "rb"))["project"]
print(*["".join(x.split()) for x in project["dependencies"]], "hypothesis", "pytest")')
    touch "$folder/ready"
fi
export PYTHONPATH=$root:$folder/site TAPEFLOW_CACHE=$folder/cache PYTHONDONTWRITEBYTECODE=1
cd "$root"
exec "$folder"/host/usr/bin/qemu-aarch64-static -cpu cortex-a76 -L "$folder/machine" "$folder"/machine/usr/bin/python3 \
    -m pytest -q -p no:cacheprovider --hypothesis-profile=ci "$@"
