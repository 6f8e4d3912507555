"""The plug-ins ``ddqn`` and ``apex``."""

from __future__ import annotations

from mario_agents.algos.dqn.algorithm import ApexAlgorithm, DDQNAlgorithm
from mario_agents.runtime.trainer import AlgorithmTrainer

TRAINER = AlgorithmTrainer(
    DDQNAlgorithm(),
    "Dueling double DQN with n-step returns and uniform or prioritized replay, from pixels or from "
    "tiles.",
)

APEX = AlgorithmTrainer(
    ApexAlgorithm(),
    "Ape-X: the network and the loss of ddqn, for one learner with prioritized replay that workers "
    "feed with experience, each of whose games explores by a share of its own.\n\n"
    "Options with other names elsewhere: --num-actors is --workers here, --learning-rate --lr, "
    "--alpha --per-alpha, --beta --per-beta, --beta-annealing (a rate) --per-beta-steps, "
    "--save-every --checkpoint-interval, --episodes --total-steps or --max-minutes, and --render a "
    "command, mario-agents watch RUN, also while it trains.",
)
