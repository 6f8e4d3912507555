"""Our environments for other libraries, where these need more than Gymnasium's interface.

Each module imports its library only when it is itself imported; none of them is a dependency.

* :mod:`mario_envkit.integrations.sb3`: a Stable-Baselines3 ``VecEnv`` over the native vector.
* :mod:`mario_envkit.integrations.rllib`: observations as RLlib's networks take them.
"""
