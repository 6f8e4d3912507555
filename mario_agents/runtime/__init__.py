"""The training loop: workers, the coordinator, and what passes between them; knows no algorithm."""
