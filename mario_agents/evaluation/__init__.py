"""The standard by which agents are measured (``mario-agents eval``)."""

from mario_agents.evaluation.standard import CONDITIONS, Report, Standard, evaluate_levels

__all__ = ["CONDITIONS", "Report", "Standard", "evaluate_levels"]
