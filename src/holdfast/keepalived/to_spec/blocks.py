"""One block of a tree as the fields of its model: each statement in its form, or counted among the losses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from holdfast.keepalived.tree import Node
from holdfast.keepalived.writer import quoted
from holdfast.spec.origin import Block, Form
from holdfast.spec.origin.checks import Check, SmtpHost, Url
from holdfast.spec.origin.instances import Authentication
from holdfast.spec.origin.servers import RealServer
from holdfast.spec.origin.values import FOLDER, from_quotes, line_mistake
from holdfast.spec.values import as_address

from .losses import Losses, Vault
from .sequence import as_counted, tunnel_mistake

Values = dict[str, Any]

# What `${_PWD}` is read as: the folder that the file has on its node, not the one that it is imported from.
FOLDER_MARK = "/folder-of-this-file"
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_LEADING = re.compile(r"[+-]?[0-9]{1,20}")
_HEAVIEST = 253  # of a weight; 254 is taken for it
_ONE_HEAVIER = frozenset({"track_file", "track_process"})
_DECIMAL = re.compile(r"\+?(?:[0-9]{1,20}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
_SWITCHES = {"": True, "on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
_ON_WHATEVER = frozenset({("virtual_server", "inhibit_on_failure")})  # measured; of a real_server it reads the word
_REVERSE = {"reverse": True, "noreverse": False, "no_reverse": False}
_DEFINED_BY = {
    "track_script": "vrrp_script",
    "track_process": "vrrp_track_process",
    "track_file": "track_file",
}
_FALLBACK = 100  # the priority that keepalived takes instead of one that it cannot use
_INNER: dict[str, type[Block]] = {"url": Url, "host": SmtpHost, "authentication": Authentication}
_SEVERAL = frozenset({"url", "host"})
_ELSEWHERE = frozenset({"virtual_server_group"})  # read as a block of its own, although it is a list
_NOT_KEYWORDS = frozenset({"address", "lines"})
_OF_ADDRESSES = frozenset({"virtual_ipaddress", "virtual_ipaddress_excluded", "static_ipaddress"})
_UPPER = frozenset({"protocol"})  # keepalived takes it in any letter case


class _UnclearError(ValueError):
    """A value of which keepalived uses a part, or another: which one is not known for every keyword."""


class _OddError(ValueError):
    """A value that keepalived itself cannot use."""


@dataclass(frozen=True)
class Reading:
    """What reading a block needs beside the block."""

    losses: Losses
    vault: Vault
    later: set[tuple[str, str]] = field(default_factory=set)  # (kind, name) of blocks that stand below this one
    untracked: frozenset[Node] = frozenset()  # lines whose track_group is not defined above them
    unfit: Mapping[Node, str] = field(default_factory=dict)  # lines of servers that keepalived leaves out, and why

    def block(self, tree: Node, model: type[Block]) -> Values:
        """The fields of `tree` as `model` takes them; what it refuses is lost."""
        values: Values = {}
        tree = as_counted(tree, self.losses, self.unfit)
        for name, info in model.model_fields.items():
            form = next((one for one in info.metadata if isinstance(one, Form)), None)
            keyword = info.alias or name
            if form is None:
                self._inner(tree, name, values)
            elif name not in _NOT_KEYWORDS and tree.has(keyword):
                self._field(tree, keyword, name, form, values)
        held = {info.alias or name for name, info in model.model_fields.items()}
        for child in tree.children:
            if child.keyword is not None and not child.keyword.block and child.name not in held | _ELSEWHERE:
                self.losses.lost(child, "no spec has a word for it")
        return self._checked(tree, model, values)

    def _field(self, tree: Node, keyword: str, name: str, form: Form, values: Values) -> None:
        found = tree.get(keyword)
        assert found is not None
        try:
            if form is Form.LINES:
                values[name] = [text for line in _lines(tree, keyword) if (text := self._line(keyword, line))]
            elif form is Form.TRACKED:
                lines = [line for line in tree.listed(keyword) if self._is_defined(keyword, line)]
                values[name] = [one for line in lines if (one := self._tracked(keyword, line)) is not None]
            elif wrong := tunnel_mistake(found):
                values[name] = found.arg()
                self.losses.ignored(found, f"keepalived takes {found.arg()} alone: {wrong}")
            elif form is Form.SECRET and not found.args:
                raise _OddError("keepalived takes a password")
            elif form is Form.SECRET:
                values[name] = {"secret": self.vault.name_of(found.arg(), _wish(tree))}
            elif name == "status_code":
                values[name] = " ".join(quoted(word) for one in tree.all(keyword) for word in one.args)
            elif (tree.name, name) in _ON_WHATEVER and found.arg() not in _SWITCHES:
                values[name] = True
                self.losses.ignored(found, "keepalived takes it for on, whatever stands behind it")
            else:
                values[name] = _value(found, form)
                if name.endswith("garp_master_repeat") and values[name] == 0:
                    values[name] = 1  # as keepalived does
                    self.losses.differs(found, "keepalived takes 1 instead")
                if name == "priority" and not 0 < values[name] < 256:
                    raise _OddError("keepalived takes 1 to 255")
        except _UnclearError as unclear:
            if name == "priority":
                values[name] = _FALLBACK
                self.losses.ignored(found, "keepalived takes 100 instead")
            else:
                self.losses.lost(found, str(unclear))
        except _OddError as odd:
            values.pop(name, None)
            if name == "priority":  # not the same as leaving it out: a MASTER without one has 255
                values[name] = _FALLBACK
            self.losses.ignored(found, str(odd))

    def _line(self, keyword: str, line: Node) -> str:
        """One line of a list; empty where keepalived skips it, or no spec can hold it."""
        text = _text_of(line)
        if line in self.untracked:
            words = list(line.words)
            at = words.index("track_group")
            self.losses.ignored(line, f"no track_group {words[at + 1]} stands above it: keepalived tracks nothing")
            text = " ".join(quoted(word) for word in (*words[:at], *words[at + 2 :]))
        if keyword in _OF_ADDRESSES and as_address(line.name.partition("/")[0]) is None:
            self.losses.skipped(line, "keepalived skips it: it does not begin with an IP address")
            return ""
        wrong = line_mistake(text.replace(FOLDER_MARK, FOLDER))
        if wrong:
            self.losses.lost(line, f"no spec can hold it: {wrong}")
        return "" if wrong else text

    def _is_defined(self, keyword: str, line: Node) -> bool:
        """keepalived looks for what is tracked among the blocks above the line, and for interfaces anywhere."""
        if (_DEFINED_BY.get(keyword, ""), line.name) not in self.later:
            return True
        self.losses.skipped(line, "it is defined further down, where keepalived does not look: nothing is tracked")
        return False

    def _tracked(self, keyword: str, line: Node) -> Values | None:
        """One line of a list of trackers; None where keepalived leaves the whole line out."""
        if line.args and (line.arg() != "weight" or len(line.args) == 1):
            self.losses.skipped(line, "keepalived knows `weight NUMBER` behind the name alone: nothing is tracked")
            return None
        one: Values = {"name": line.name}
        if line.args:
            self._weigh(keyword, line, one)
        more = line.args[2:]
        if more and more[0] in _REVERSE:
            one.setdefault("weight", 0)
            one["reverse"] = _REVERSE[more[0]]
        if more and (more[0] not in _REVERSE or len(more) > 1):
            self.losses.ignored(line, "keepalived does not read what stands behind the weight")
        return one

    def _weigh(self, keyword: str, line: Node, one: Values) -> None:
        """keepalived takes the digits at the beginning, 0 where there are none; what is too large it does not take."""
        text = line.arg(1)
        digits = _LEADING.match(text)
        weight = int(digits[0]) if digits else 0
        if not _INTEGER.fullmatch(text):
            self.losses.differs(line, f"keepalived takes {weight} for the weight")
        if abs(weight) > _HEAVIEST + 1:
            self.losses.ignored(line, f"the weight is out of range: -{_HEAVIEST} to {_HEAVIEST}")
            if keyword != "track_interface":
                return
            weight = 0
        most = _HEAVIEST + (keyword in _ONE_HEAVIER)
        one["weight"] = max(-most, min(weight, most))

    def _inner(self, tree: Node, name: str, values: Values) -> None:
        """Blocks within the block."""
        if name in _INNER and tree.has(name):
            blocks = [self.block(one, _INNER[name]) for one in tree.all(name)]
            values[name] = blocks if name in _SEVERAL else {key: v for one in blocks for key, v in one.items()}
        elif name == "real_server" and tree.has(name):
            values[name] = [self._real_server(one) for one in tree.all(name)]
        elif name == "checks":
            checks = [one for one in tree.children if one.name in Check.model_fields]
            if checks:
                values[name] = [{one.name: self.block(one, _model_of(one.name))} for one in checks]

    def _real_server(self, tree: Node) -> Values:
        return {"address": head(tree), **self.block(tree, RealServer)}

    def _checked(self, tree: Node, model: type[Block], values: Values) -> Values:
        """What the model takes: a refused value is one that keepalived cannot use, or one that no spec can hold."""
        values = {name: _with_folder(value) for name, value in values.items()}
        for _ in range(len(values) + 1):
            try:
                model.model_validate(values)
                return values
            except ValidationError as error:
                refused = {wrong["loc"][:2]: wrong["msg"] for wrong in error.errors()}
                for where, why in reversed(refused.items()):  # from the last: places in a list stay
                    self._refused(tree, model, values, where, why)
        return values

    def _refused(self, tree: Node, model: type[Block], values: Values, where: tuple[int | str, ...], why: str) -> None:
        name = next((n for n, info in model.model_fields.items() if where and where[0] in (n, info.alias)), "")
        if name not in values:
            return
        found = tree.get(model.model_fields[name].alias or name) or tree
        if isinstance(values[name], list) and len(where) > 1 and isinstance(where[1], int):
            del values[name][where[1]]
            self.losses.lost(found, _reason(why))
        else:
            del values[name]
            self._judge(found, why)

    def _judge(self, found: Node, why: str) -> None:
        text = _reason(why)
        if any(sign in why for sign in ("no words", "no command", "quotes or control", "at most 900", "valid string")):
            self.losses.lost(found, f"no spec can hold it: {text}")
        else:
            self.losses.ignored(found, f"keepalived does not use it: {text}")


def _with_folder(value: Any) -> Any:
    """`${_PWD}` in place of the mark that it was read as."""
    if isinstance(value, str):
        return value.replace(FOLDER_MARK, FOLDER)
    if isinstance(value, list):
        return [_with_folder(one) for one in value]
    return value


def head(tree: Node) -> str:
    """What stands behind the keyword of a server: an address and a port, or what is served as one."""
    return " ".join(quoted(word) for word in tree.args[:2])


def _model_of(check: str) -> type[Block]:
    annotation: Any = Check.model_fields[check].annotation
    model: type[Block] = next(one for one in annotation.__args__ if one is not type(None))
    return model


def _lines(tree: Node, keyword: str) -> list[Node]:
    """The lines of a list in braces; of a keyword that is given several times, each statement."""
    found = tree.all(keyword)
    if found[0].keyword is not None and found[0].keyword.listed is None:
        return found
    if found[0].keyword is not None and found[0].keyword.repeat == "first":
        found = found[:1]
    return [line for one in found for line in one.children]


def _text_of(line: Node) -> str:
    """A line as it is written: the one word behind a keyword, or all words of a listed line."""
    return quoted(line.arg()) if line.keyword is not None else " ".join(quoted(word) for word in line.words)


def _value(found: Node, form: Form) -> bool | int | float | str:
    """The value of a single statement; _OddError where keepalived can make nothing of it."""
    first = found.arg()
    if form is Form.FLAG:
        return True
    if form is Form.SWITCH:
        if first not in _SWITCHES:
            raise _OddError("keepalived takes on, off, true, false, yes or no")
        return _SWITCHES[first]
    if form is Form.NUMBER:
        return _number(first)
    if form is Form.WORD:
        return first.upper() if found.name in _UPPER else first
    if form is Form.COMMAND:
        return from_quotes(found.text.strip()[len(found.name) :].strip())
    return " ".join(quoted(word) for word in found.args) or True


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        whole, _, rest = text.partition(".")
        if rest[6:].strip("0"):
            raise _UnclearError("keepalived counts in microseconds, and rounds some: write six decimals")
        number = float(f"{whole or 0}.{rest[:6] or 0}")
        return int(number) if number.is_integer() else number
    raise _UnclearError("keepalived takes a number, and may take a part of this for one")


def _wish(tree: Node) -> str:
    return "ssl" if tree.name == "SSL" else "vrrp"


def _reason(why: str) -> str:
    return why.removeprefix("Value error, ").replace("Input should", "it should")
