"""Super Mario Bros: memory, levels, actions, rewards and the rules of gym-super-mario-bros 7.4."""
