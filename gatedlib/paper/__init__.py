"""The paper on top of the library: its settings as named experiments, and its claims, one file per chapter."""
