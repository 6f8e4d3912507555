"""``python -m tests.gpu.kernels TRAINER [OPTION=VALUE ...]``: what an update has a GPU do.

Prints how long updates take, and the kernels of one, by name: how many there are, and how long they
take together. Options are the trainer's, on a GPU if nothing else is said.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import torch
import yaml
from torch.profiler import ProfilerActivity, profile

from mario_agents.config import make_config
from mario_agents.core.graphed import WARM_UPS
from mario_agents.nn.device import resolve_device
from mario_envkit.plugins import load_trainer
from tests.gpu.learning_parts import Player, Updates

SHOWN, UPDATES = 40, 20


def main() -> int:
    """Measure and print."""
    trainer, *words = sys.argv[1:]
    pairs = (word.split("=", 1) for word in words)
    options: dict[str, Any] = {name: yaml.safe_load(value) for name, value in pairs}
    plugin = load_trainer(trainer)
    config = make_config(plugin.config_class, {"device": "cuda", **options}, source="words")
    device = resolve_device(config.device)
    player = Player(plugin.algorithm, config, device)
    batch = player.first_batch()
    player.close()
    updates = Updates(plugin.algorithm, config, player.learner, device, recording=False)
    for _ in range(WARM_UPS + 2):
        updates.timed(batch)
    total: Counter[str] = Counter()
    for _ in range(UPDATES):
        total.update(updates.timed(batch))
    print({part: f"{1e3 * seconds / UPDATES:.2f} ms" for part, seconds in total.items()})
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        updates.timed(batch)
    counts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for event in profiler.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            counts[event.name] += 1
            times[event.name] += event.time_range.elapsed_us()
    print(f"{sum(counts.values())} kernels, {sum(times.values()) / 1e3:.2f} ms together")
    for name, time in times.most_common(SHOWN):
        print(f"{counts[name]:6} {time / 1e3:8.3f} ms  {name[:140]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
