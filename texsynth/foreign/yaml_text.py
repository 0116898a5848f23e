"""YAML of others: plain numbers, words, lists and mappings, bounded in length, depth and count."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

LONGEST = 64 << 10  # characters
DEEPEST = 16  # lists and mappings in each other
MOST_VALUES = 4000  # those that stand for others, by *NAME, counted where they are used
LONGEST_NUMBER = 40  # characters


def load(text: str) -> Any:
    """The value of a text; raises ValueError, with one line, where it is no YAML, or is more than plain values.

    There are no tags, no dates, and no numbers of hundreds of digits: what a preset needs not, it cannot have.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST >> 10} kB")
    import yaml  # here, as --help does without it

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ValueError(_explain(error)) from None
    except (ValueError, OverflowError, RecursionError):  # of numbers in directives and escapes
        raise ValueError("it is not YAML") from None


def text(value: Any) -> str:
    """A plain value as one line, from which `load` makes it again."""
    import yaml

    line = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=LONGEST)
    return line.removesuffix("\n").removesuffix("\n...")


def _explain(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    return problem if mark is None else f"line {mark.line + 1}: {problem}"


def _refusal(problem: str, where: Any) -> yaml.YAMLError:
    from yaml.constructor import ConstructorError

    return ConstructorError(None, None, problem, where.start_mark)


def _check_keys(loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
    """Refuse a key that stands twice."""
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            break  # the safe loader has its own words for that
        if key in keys:
            raise _refusal(f"{key!r} stands twice", key_node)
        keys.add(key)


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml
    from yaml.events import AliasEvent
    from yaml.nodes import Node

    class Loader(yaml.SafeLoader):
        """The safe loader with bounds, and with a key that stands twice refused (PyYAML keeps the last one)."""

        yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's way)
            first: [(tag, form) for tag, form in pairs if tag.rpartition(":")[2] in ("null", "bool", "int", "float")]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.depth = 0
            self.count = 0
            self.counts: dict[Node, int] = {}  # of a node that is complete, with all that is in it

        def compose_node(self, parent: Any, index: Any) -> Any:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            if getattr(event, "tag", None) is not None:
                raise _refusal(f"a tag such as {event.tag} is not allowed", event)
            before, self.depth = self.count, self.depth + 1
            if self.depth > DEEPEST:
                raise _refusal("its lists and mappings are too deep", event)
            node: Any = super().compose_node(parent, index)
            if isinstance(event, AliasEvent) and node not in self.counts:
                raise _refusal(f"*{event.anchor} stands inside itself", event)
            self.count += self.counts.get(node, 1)
            if self.count > MOST_VALUES:
                raise _refusal(f"there are more than {MOST_VALUES} values", event)
            self.depth -= 1
            self.counts[node] = self.count - before
            return node

        def construct_scalar(self, node: Any) -> Any:
            if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
                raise _refusal(f"a number of {len(node.value)} digits", node)
            return super().construct_scalar(node)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            _check_keys(self, node)
            return super().construct_mapping(node, deep=deep)

    return Loader
