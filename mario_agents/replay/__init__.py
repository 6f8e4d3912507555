"""Experience to learn from: columns of steps in, batches out; frames are kept once."""
