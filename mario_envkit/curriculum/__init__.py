"""What to practise next."""
