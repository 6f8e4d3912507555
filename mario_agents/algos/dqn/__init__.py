"""Dueling double DQN with n-step returns and prioritized replay."""
