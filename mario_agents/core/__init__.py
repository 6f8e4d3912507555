"""The nouns that every algorithm and every way of training are made of."""
