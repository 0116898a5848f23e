"""Recipes, one a file: how a network of nets/ is trained."""
