"""Topics that a program writes, read from its source.

Followed are all definitions that the program reaches by name from where it starts. It writes the
records that it makes, if it reaches `to_message`, and the topics that it names where it sends.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from schemas import topics
from schemas.topics import TOPICS

ROOMS = {"schemas", "runtime", "workers", "streams", "sinks", "ingest_api", "paystream"}
"""Rooms whose definitions are followed; the engine writes what they give to it."""
CONTRACTS = {"schemas.records", "schemas.codec", "schemas.generated_codecs", "schemas.registry"}
ENVELOPES = "schemas.envelopes"
TOPIC_OF = {
    topic.record: name for name, topic in TOPICS.items() if topic.envelope and not topic.commands
}
COMMAND_MAKERS = {"PaymentCommand", "result_command", "archive_control_command"}
"""What makes a payment command; `Source.X` beside it says on which topics it goes."""
TOPICS_OF_SOURCE: dict[str, set[str]] = {}
for topic in TOPICS.values():
    for source in topic.commands.values():
        TOPICS_OF_SOURCE.setdefault(source, set()).add(topic.name)
CONSTANTS = {
    key: value for key, value in vars(topics).items() if isinstance(value, str) and value in TOPICS
}
SENDERS = {"emit", "produce", "send", "ProducerRecord", "DueRecord"}
READERS = {"decoder", "decode", "isinstance"}
"""Functions that are given a record's class and make no new record."""

Source = Callable[[str], str | None]


class Symbol(NamedTuple):
    """A name at the top of a module; without a name it is the module itself."""

    module: str
    name: str = ""


class Module(NamedTuple):
    """Definitions by name, and what the imports bind."""

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Symbol]


@cache
def source_of(module: str) -> str | None:
    """The source of a module of the rooms; None if there is no such module."""
    if module.partition(".")[0] not in ROOMS:
        return None
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin).read_text() if spec and spec.origin else None


@cache
def parsed(source: str) -> Module:
    tree = ast.parse(source)
    definitions: dict[str, list[ast.stmt]] = {}
    imports: dict[str, Symbol] = {}
    for statement in tree.body:
        for name in _defined(statement):
            definitions.setdefault(name, []).append(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                imports[alias.asname or alias.name] = Symbol(node.module, alias.name)
    return Module(definitions, imports)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):  # assignments, also `TABLE[…] = …` and `HANDLERS.update(…)`
        if isinstance(node, ast.Name) and not isinstance(statement, ast.ImportFrom):
            yield node.id


class Program:
    """Everything that is reached by name from where a program starts."""

    def __init__(self, start: str, source: Source = source_of) -> None:
        self._source = source
        self._modules: dict[str, Module] = {}
        self._reached: set[Symbol] = set()
        self._has_envelopes = False
        self._records: set[str] = set()
        self._topics: set[str] = set()
        self._sources: set[str] = set()
        self._waiting = [Symbol(*each.split(":")) for each in start.split()]
        for module, name in self._waiting:
            assert name in self._module(module).definitions, f"There is no {module}:{name}."
        while self._waiting:
            self._reach(self._waiting.pop())

    @property
    def topics(self) -> set[str]:
        """The topics that the program writes."""
        enveloped = {TOPIC_OF[name] for name in self._records if self._has_envelopes}
        commands = [TOPICS_OF_SOURCE.get(s, set()) for s in self._sources if self._has_envelopes]
        return self._topics.union(enveloped, *commands)

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = parsed(self._source(name) or "")
        return self._modules[name]

    def _reach(self, symbol: Symbol) -> None:
        if symbol in self._reached or symbol.module.partition(".")[0] not in ROOMS:
            return
        self._reached.add(symbol)
        if symbol.module in CONTRACTS:
            return
        if symbol.module == ENVELOPES:
            self._has_envelopes = True
            return
        module = self._module(symbol.module)
        if symbol.name in module.imports:
            self._waiting.append(module.imports[symbol.name])
        for statement in module.definitions.get(symbol.name, ()):
            self._read(symbol.module, module, statement)

    def _read(self, module_name: str, module: Module, statement: ast.stmt) -> None:
        ignored = {id(node) for node in _not_values(statement)}
        self._sources |= _sources_of_commands(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                symbol = self._resolved(Symbol(module_name, node.id))
                self._waiting.append(symbol)
                if symbol.module == "schemas.records" and id(node) not in ignored:
                    self._records |= {symbol.name} & TOPIC_OF.keys()
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = self._resolved(Symbol(module_name, node.value.id))
                self._waiting.append(Symbol(f"{owner.module}.{owner.name}", node.attr))
            elif isinstance(node, ast.Call):
                self._topics |= _topics_sent(node)
                self._records |= self._records_parsed(module, node)

    def _resolved(self, symbol: Symbol) -> Symbol:
        """Where the name is defined, through all modules that pass it on."""
        imports = self._module(symbol.module).imports
        origin = imports.get(symbol.name, symbol)
        return symbol if origin == symbol else self._resolved(origin)

    def _records_parsed(self, module: Module, call: ast.Call) -> set[str]:
        """Records in the fields of a class that is read from a response: `type=Class`."""
        return {
            name.id
            for keyword in call.keywords
            if keyword.arg == "type" and isinstance(keyword.value, ast.Name)
            for statement in module.definitions.get(keyword.value.id, ())
            for field in ast.walk(statement)
            if isinstance(field, ast.AnnAssign)
            for name in ast.walk(field.annotation)
            if isinstance(name, ast.Name) and name.id in TOPIC_OF
        }


def _not_values(statement: ast.stmt) -> Iterator[ast.AST]:
    """Annotations, and arguments of functions that only read records."""
    for node in ast.walk(statement):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield from ast.walk(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield from ast.walk(node.returns)
        elif isinstance(node, ast.Call) and called(node) in READERS:
            for argument in node.args:
                yield from ast.walk(argument)
        elif isinstance(node, ast.Subscript | ast.BinOp):  # list[Record], Record | None
            yield from ast.walk(node)


def _sources_of_commands(statement: ast.stmt) -> set[str]:
    """Sources that a definition names, if it makes payment commands."""
    makes = any(
        isinstance(n, ast.Call) and called(n) in COMMAND_MAKERS for n in ast.walk(statement)
    )
    return {
        node.attr.lower()
        for node in ast.walk(statement)
        if makes
        and isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Source"
    }


def called(call: ast.Call) -> str:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return str(name).lstrip("_")


def _topics_sent(call: ast.Call) -> set[str]:
    named = [k.value for k in call.keywords if k.arg == "dead_letter_topic"]
    if called(call) in SENDERS:
        named += [*call.args, *(k.value for k in call.keywords if k.arg == "topic")]
    return {topic for node in named if (topic := topic_named(node)) is not None}


def topic_named(node: ast.expr) -> str | None:
    """The topic that an expression names, by its constant or as text."""
    if isinstance(node, ast.Name):
        return CONSTANTS.get(node.id)
    if isinstance(node, ast.Attribute):  # topics.PAYMENTS_EVENTS
        return CONSTANTS.get(node.attr)
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and text in TOPICS else None
