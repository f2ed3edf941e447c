"""A small reader of GBNF, to derive random answers from a grammar and to check its spelling."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKEN = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[A-Za-z][\w-]*|\{\d+,\d*\}|[()|?*+])'
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
PRINTABLE = [chr(code) for code in range(32, 127)]
LETTERS = "abcxyz_ 019()+-*/.,:"


@dataclass
class Item:
    kind: str
    value: object = None
    low: int = 1
    high: int = 1


@dataclass
class Gbnf:
    """A grammar: rule name -> alternatives, each a list of items."""

    rules: dict[str, list[list[Item]]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Gbnf":
        found = cls()
        for line in filter(str.strip, text.split("\n")):
            name, separator, body = line.partition(" ::= ")
            assert separator, line
            assert re.fullmatch(r"[a-z][a-z0-9-]*", name), line
            assert name not in found.rules, f"{name} twice"
            tokens = list(tokenise(body))
            found.rules[name] = alternatives(tokens)
            assert not tokens, f"{line}: {tokens[:3]} left"
        for name in found.used():
            assert name in found.rules, f"no rule {name}"
        return found

    def used(self) -> set[str]:
        names: set[str] = {"root"}
        stack = [item for rule in self.rules.values() for way in rule for item in way]
        while stack:
            item = stack.pop()
            if item.kind == "rule":
                names.add(str(item.value))
            elif item.kind == "group":
                stack += [i for way in item.value for i in way]  # type: ignore[attr-defined]
        return names

    def derive(self, rng: random.Random, name: str = "root", depth: int = 0) -> str:
        return self._one_of(self.rules[name], rng, depth)

    def _one_of(self, ways: list[list[Item]], rng: random.Random, depth: int) -> str:
        # Deep down the first way is taken: grammars put the simplest one first.
        way = ways[0] if depth > 12 else rng.choice(ways)
        return "".join(self._repeat(item, rng, depth) for item in way)

    def _repeat(self, item: Item, rng: random.Random, depth: int) -> str:
        count = item.low if depth > 7 else rng.randint(item.low, min(item.high, item.low + 4))
        return "".join(self._once(item, rng, depth) for _ in range(count))

    def _once(self, item: Item, rng: random.Random, depth: int) -> str:
        if item.kind == "text":
            return str(item.value)
        if item.kind == "class":
            few = [c for c in LETTERS if re.match(str(item.value), c)]
            return rng.choice(few or [c for c in PRINTABLE if re.match(str(item.value), c)])
        if item.kind == "rule":
            return self.derive(rng, str(item.value), depth + 1)
        return self._one_of(item.value, rng, depth + 1)  # type: ignore[arg-type]


def tokenise(body: str) -> Iterator[str]:
    position = 0
    while position < len(body.rstrip()):
        found = TOKEN.match(body, position)
        assert found, f"not GBNF: {body[position : position + 40]!r}"
        yield found[1]
        position = found.end()


def alternatives(tokens: list[str]) -> list[list[Item]]:
    ways: list[list[Item]] = [[]]
    while tokens and tokens[0] != ")":
        token = tokens.pop(0)
        if token == "|":
            ways.append([])
        elif token == "(":
            ways[-1].append(Item("group", alternatives(tokens)))
            assert tokens.pop(0) == ")"
        elif token in "?*+" or token.startswith("{"):
            repeat(ways[-1][-1], token)
        elif token.startswith('"'):
            text = re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), token[1:-1])
            ways[-1].append(Item("text", text))
        elif token.startswith("["):
            ways[-1].append(Item("class", token))
        else:
            ways[-1].append(Item("rule", token))
    return ways


def repeat(item: Item, token: str) -> None:
    if token.startswith("{"):
        low, high = token[1:-1].split(",")
        item.low, item.high = int(low), int(high or 1000)
    else:
        item.low, item.high = {"?": (0, 1), "*": (0, 1000), "+": (1, 1000)}[token]
