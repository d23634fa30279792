"""`make demo`: the whole pipeline on the local cloud, step by step, as the README tells it."""
