"""Methods and a recipe that cannot surprise, by the names under which tests register them."""

from fakes import afloat, easy, mixture, obedient, painted, pointed, steady
from texsynth import registry

METHODS = {
    "afloat": afloat,
    "mixture": mixture,
    "obedient": obedient,
    "painted": painted,
    "pointed": pointed,
    "steady": steady,
}
RECIPES = {"easy": easy}


def register() -> None:
    """Register all of them for the rest of the process."""
    for name, method in METHODS.items():
        registry.METHODS.register(name, method)
    for name, recipe in RECIPES.items():
        registry.RECIPES.register(name, recipe)
