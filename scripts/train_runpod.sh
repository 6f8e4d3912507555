#!/usr/bin/env bash
# Trains on a rented machine (RunPod, or any other) that may be taken away at any moment.
#
# Start it as often as you like: it installs what is missing, begins a run, or goes on with the one that is
# there. Words that follow are options of 'mario-agents train'. Environment variables:
#
#   TRAINER  ppo      see 'mario-agents trainers'
#   PRESET            see 'mario-agents presets'; by default gpu or tiles-cpu for ppo, none for other trainers
#   LEVEL    1-1
#   WORKERS           processes that play; by default none but the one that learns
#   STEPS             agent steps in all, also those made before; by default those of the preset
#   RUNS              directory of the runs, on a disk that outlives the machine; by default /workspace/runs
#                     where there is a /workspace, else ./runs
#   RUN               directory of the run; by default RUNS/TRAINER-LEVEL
#   VENV              virtual environment, made beside this script's folder if mario-agents is not installed
#   TENSORBOARD_PORT  starts a TensorBoard for RUNS there, unless something answers already
#   DRY_RUN=1         only says what it would do
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
trainer=${TRAINER:-ppo} level=${LEVEL:-1-1}
default_runs=$PWD/runs
[ -d /workspace ] && default_runs=/workspace/runs
runs=${RUNS:-$default_runs}
run=${RUN:-$runs/$trainer-${level//[^A-Za-z0-9_.-]/_}}
venv=${VENV:-$here/.venv}

say() { printf '%s\n' "train_runpod.sh: $*" >&2; }

# Says a command, and runs it unless DRY_RUN says otherwise.
run() {
  printf '+' >&2
  printf ' %q' "$@" >&2
  printf '\n' >&2
  [ "${DRY_RUN:-0}" = 1 ] || "$@"
}

# Makes sure that mario-agents is there, in the version of this checkout.
prepare() {
  if [ ! -e "$venv" ] && command -v mario-agents >/dev/null; then
    return # in a container, or installed by hand
  fi
  if [ ! -f "$here/pyproject.toml" ]; then
    say "mario-agents is not installed, and $here is no checkout of mario-envkit to install it from."
    exit 2
  fi
  local version stamp=$venv/installed-by-train_runpod
  version="$(git -C "$here" rev-parse HEAD 2>/dev/null || echo unknown) $(python3 --version)"
  if ! { [ "$(cat "$stamp" 2>/dev/null)" = "$version" ] && "$venv/bin/python" -c "import mario_agents"; }; then
    if ! command -v c++ >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
      run apt-get update
      run apt-get install --yes --no-install-recommends g++ libgl1 libglib2.0-0
    fi
    # The image's own PyTorch, which fits its driver, is seen from within.
    run python3 -m venv --clear --system-site-packages "$venv"
    run "$venv/bin/python" -m pip install "${here}[agents]"
    [ "${DRY_RUN:-0}" = 1 ] || printf '%s\n' "$version" >"$stamp"
  fi
  PATH=$venv/bin:$PATH
}

start_tensorboard() {
  if (: <"/dev/tcp/127.0.0.1/$TENSORBOARD_PORT") 2>/dev/null; then
    return
  fi
  printf '+ tensorboard --logdir %q --host 0.0.0.0 --port %q &\n' "$runs" "$TENSORBOARD_PORT" >&2
  [ "${DRY_RUN:-0}" = 1 ] && return
  tensorboard --logdir "$runs" --host 0.0.0.0 --port "$TENSORBOARD_PORT" >/dev/null 2>&1 &
}

default_preset() {
  if [ "$trainer" != ppo ]; then
    return
  elif nvidia-smi --list-gpus >/dev/null 2>&1; then
    echo gpu
  else
    echo tiles-cpu
  fi
}

prepare
[ -z "${TENSORBOARD_PORT:-}" ] || start_tensorboard

options=()
[ -z "${WORKERS:-}" ] || options+=(--workers "$WORKERS")
[ -z "${STEPS:-}" ] || options+=(--total-steps "$STEPS")
if compgen -G "$run/checkpoint/*.json" >/dev/null; then
  words=(--resume "$run")
else
  if [ -e "$run/config.json" ]; then
    # Taken away before its first checkpoint: there is nothing to go on with.
    run mv "$run" "$run.unstarted-$(date +%Y%m%d-%H%M%S)"
  fi
  run mkdir -p "$runs"
  words=("$trainer" --run-dir "$run" --level "$level")
  preset=${PRESET-$(default_preset)}
  [ -z "$preset" ] || words+=(--preset "$preset")
fi
# In the place of this shell, so that whoever ends the machine asks the training itself to save.
printf '+' >&2
printf ' %q' mario-agents train "${words[@]}" "${options[@]}" "$@" >&2
printf '\n' >&2
[ "${DRY_RUN:-0}" = 1 ] || exec mario-agents train "${words[@]}" "${options[@]}" "$@"
