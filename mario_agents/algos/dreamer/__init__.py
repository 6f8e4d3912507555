"""DreamerV3: plans in a learned world model."""
