"""A small Hugging Face Hub on loopback, for tests: a program of its own, standard library only."""
