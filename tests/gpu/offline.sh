#!/usr/bin/env bash
# The check of a GPU on a machine without a network that has a C++ compiler, and whose python3 has torch and numpy:
#
#   bash tests/gpu/offline.sh pack [3.12]     with a network: wheels of what that Python may lack
#   bash tests/gpu/offline.sh run [OPTIONS]   there: builds the checkout, then python -m tests.gpu OPTIONS
#   bash tests/gpu/offline.sh exec COMMAND    there: builds the checkout, then COMMAND with its python
#
# The wheels (36 MB; x86-64, the Python version as given) are in the folder .wheels of the checkout.
# What is large and hardly needed is left out: OpenCV draws maps, ffmpeg encodes videos, grpcio serves TensorBoard.
set -euo pipefail
cd "$(dirname "$0")/../.."

packages=(
  gymnasium farama-notifications cloudpickle "gym-super-mario-bros==7.4.0"
  tyro docstring-parser typeguard msgspec pyzmq safetensors pyyaml jinja2 markupsafe
  textual rich pygments markdown-it-py mdurl mdit-py-plugins linkify-it-py uc-micro-py platformdirs
  matplotlib contourpy cycler fonttools kiwisolver pillow pyparsing python-dateutil six
  tensorboard absl-py protobuf
  imageio scikit-build-core nanobind pathspec packaging ninja typing-extensions
)

pack() {
  local version=${1:-3.12} tags=(--abi "cp${1/./}" --abi abi3 --abi none)
  for glibc in 2_28 2_27 2_26 2_24 2_17 2_12 2_5; do tags+=(--platform "manylinux_${glibc}_x86_64"); done
  rm -rf .wheels
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest .wheels \
    --implementation cp --python-version "$version" "${tags[@]}" \
    --platform manylinux2014_x86_64 --platform manylinux1_x86_64 "${packages[@]}"
  du -sh .wheels
}

build() {
  local base site pip
  base=$(command -v python3)
  venv=$(mktemp -d)
  trap 'rm -rf "$venv"' EXIT
  "$base" -m venv --without-pip "$venv"
  # Not --system-site-packages: python3 may be that of a virtual environment, which has torch itself.
  site=$("$venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
  "$base" -c "import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])" > "$site/zz_torch.pth"
  pip=("$base" -m pip --python "$venv/bin/python" install --quiet --no-index --no-deps)
  "${pip[@]}" .wheels/*.whl
  PATH="$venv/bin:$PATH" "${pip[@]}" --no-build-isolation --editable .
  export PATH="$venv/bin:$PATH"
}

case ${1:-} in
  pack) pack "${2:-3.12}" ;;
  run) shift; build; python -m tests.gpu "$@" ;;
  exec) shift; build; "$@" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
