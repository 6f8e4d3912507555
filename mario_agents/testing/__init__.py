"""Fakes for the tests of trainers, ours and yours: a game without a cartridge, a toy algorithm."""

from mario_agents.testing.corridor import CORRIDOR, FakeVectorEnv, corridor_q, make_corridor

__all__ = ["CORRIDOR", "FakeVectorEnv", "corridor_q", "make_corridor"]
