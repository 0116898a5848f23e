"""The pseudo optimizer: a network that proposes the steps of an optimisation."""
