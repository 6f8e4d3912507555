"""Experience to learn from: single frames in, n-step batches with rebuilt stacks out."""
