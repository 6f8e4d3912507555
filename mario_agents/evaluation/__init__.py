"""The standard by which agents are measured (``mario-agents eval``); how episodes are played."""
