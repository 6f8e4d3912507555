"""sheeprl: its command trains on an id of ours."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def test_ppo(tmp_path: Path) -> None:
    arguments = (  # of its command line
        "exp=ppo env=gym env.id=mario_envkit:MarioTrain-v0 +env.wrapper.frame_stack=1 "
        "env.num_envs=2 env.sync_env=True env.screen_size=64 env.capture_video=False "
        "algo.cnn_keys.encoder=[rgb] algo.mlp_keys.encoder=[] algo.rollout_steps=8 "
        "algo.per_rank_batch_size=8 algo.total_steps=16 algo.run_test=False metric.log_level=0 "
        "checkpoint.every=0 fabric.accelerator=cpu"
    )
    command = [sys.executable, "-m", "sheeprl", *shlex.split(arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
