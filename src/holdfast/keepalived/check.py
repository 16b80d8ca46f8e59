"""Compares one statement with its row of the tables: how many words, and of which kind."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from . import complaints
from .complaints import Code, Complaints, shown
from .keywords import OLDEST, Argument, Keyword, Listed, Table, homes, needs, tables
from .tree import Node
from .values import is_ip

_MOST_SOUND = 4_096  # statements remembered of one keyword
_MOST_HINTS = 200
_LONGEST_KEYWORD = 45
PASSED_OVER = "skips the whole block"
# Blocks that keepalived passes over where they have no name; at others it stops reading.
_SKIPPED_NAMELESS = frozenset({"vrrp_instance", "vrrp_sync_group", "track_group"})


class Checker:
    """Checks against the release `version`, and notes what it finds."""

    def __init__(self, notes: Complaints, version: tuple[int, ...]) -> None:
        self._notes = notes
        self._version = version
        self._hints: dict[tuple[str, str], str] = {}

    def note(self, code: Code, node: Node, message: str, hint: str = "", word: int = 0) -> None:
        """A complaint about the word `word` of a statement."""
        if self._notes.full:
            return
        if node.origin is not None:
            origin = node.origin
            message += f" (the text of ${origin.name}, {origin.source.name}:{origin.line})"
        self._notes.add(code, node.source, node.line, node.span(word)[0], message, hint)

    def unknown(self, node: Node, table: Table, block: str) -> None:
        """A keyword that its block does not have: elsewhere in its place, or nowhere."""
        if self._notes.full:
            return
        name = node.words[0]
        where = f"in {block}" if block != "root" else "outside all blocks"
        places = homes().get(name, ())
        if places:
            hint = "is a } missing before it?" if "root" in places else self._instead(name, table, places)
            self.note(complaints.WRONG_PLACE, node, f"{shown(name)} cannot stand {where}", hint)
            return
        hint = self._nearest(name, table, block)
        self.note(complaints.UNKNOWN, node, f"keepalived knows no keyword {shown(name)} {where}", hint)

    @staticmethod
    def _instead(name: str, table: Table, places: tuple[str, ...]) -> str:
        """The newer name that this block knows, where the old one is for others; else where the keyword belongs."""
        newer = {tables()[place][name].deprecated for place in places if name in tables().get(place, {})}
        here = next((one for one in sorted(newer - {None, ""}, key=str) if one in table), "")
        return f"write {here} instead" if here else f"it belongs {' or '.join(f'in {place}' for place in places)}"

    def _nearest(self, name: str, known: Collection[str], block: str) -> str:
        """What was meant, perhaps; found for the first few names alone, because it takes long."""
        key = (name, block)
        if key not in self._hints:
            if len(self._hints) >= _MOST_HINTS or len(name) > _LONGEST_KEYWORD:
                return ""
            near = difflib.get_close_matches(name, known, 1, 0.75)
            far = difflib.get_close_matches(name, homes(), 1, 0.85) if not near else []
            # `tables()` has what keywords hold in braces; what lists hold is no keyword of a block.
            elsewhere = self._instead(far[0], tables().get(block, {}), homes()[far[0]]) if far else ""
            if elsewhere.startswith("it belongs"):
                elsewhere = f"did you mean {far[0]}? {elsewhere}"
            self._hints[key] = f"did you mean {near[0]}?" if near else elsewhere
        return self._hints[key]

    def statement(self, node: Node, keyword: Keyword, table: Table) -> None:
        """The words of a keyword; those that are sound need not be asked again."""
        words = node.words
        if keyword.deprecated is not None:
            hint = f"write {keyword.deprecated} instead" if keyword.deprecated else "remove it"
            self.note(complaints.DEPRECATED, node, f"{keyword.name} is deprecated", hint)
        if keyword.built:
            message = f"{keyword.name} works only where keepalived is built with {keyword.built}, as Debian's is not"
            self.note(complaints.NOT_BUILT, node, message)
        if keyword.since > self._version:
            since, version = (".".join(map(str, release)) for release in (keyword.since, self._version))
            self.note(
                complaints.TOO_NEW, node, f"{keyword.name} came with keepalived {since}; {version} does not know it"
            )
        elif self._arguments(node, keyword, table) and self._may_keep(keyword):
            keyword.sound.add(words)

    def _may_keep(self, keyword: Keyword) -> bool:
        silent = keyword.deprecated is None and not keyword.built and keyword.since <= OLDEST and not keyword.newer
        return silent and len(keyword.sound) < _MOST_SOUND

    def _arguments(self, node: Node, keyword: Keyword, table: Table) -> bool:
        given = len(node.words) - 1
        if not self.enough(node, keyword):
            return False
        if keyword.listed is not None and not keyword.arguments and given:
            message = f"words stand between {keyword.name} and its brace: keepalived ignores them"
            self.note(complaints.HEADER, node, message, "write them inside the braces", 1)
            return False
        if keyword.options is not None:
            self.listed(node, keyword.options, keyword.name)
            self._tunnel(node)
            return False
        instead = keyword.instead.get(node.words[1]) if given else None
        if instead is not None and given - 1 < sum(not argument.optional for argument in instead):
            self._missing(node, keyword)
            return False
        if instead is not None:
            sound, used = self.match(node, instead, 2, node.words[1])
        else:
            sound, used = self.match(node, self._of_release(keyword), 1, keyword.name)
        if sound and used <= given:
            self._too_many(node, keyword, table, used)
            return False
        return sound

    def _of_release(self, keyword: Keyword) -> tuple[Argument, ...]:
        """What the keyword takes in this release: the rows say what was so first."""
        newer = [arguments for since, arguments in keyword.newer if since <= self._version]
        return newer[-1] if newer else keyword.arguments

    def enough(self, node: Node, keyword: Keyword) -> bool:
        """Whether a keyword has all words that it needs behind it."""
        if len(node.words) <= keyword.least:
            self._missing(node, keyword)
        return len(node.words) > keyword.least

    def _missing(self, node: Node, keyword: Keyword) -> None:
        needed = [argument.note or argument.kind for argument in keyword.arguments if not argument.optional]
        then = PASSED_OVER if keyword.name in _SKIPPED_NAMELESS else "ends here"
        message = f"{keyword.name} needs {len(needed)} word{'s' * (len(needed) > 1)} behind it: keepalived {then}"
        self.note(complaints.MISSING, node, message, f"{keyword.name} {' '.join(f'<{one}>' for one in needed)}")

    def _too_many(self, node: Node, keyword: Keyword, table: Table, used: int) -> None:
        rest = node.words[used:]
        if keyword.arguments and keyword.arguments[-1].kind == "password":
            message = "the password ends at the first blank: keepalived ignores the words behind it"
            self.note(complaints.TOO_MANY, node, message, "put the whole password in quotes", used)
            return
        inner = tables().get(keyword.block, {})
        swallowed = next((word for word in rest if word in table or word in inner), "")
        if swallowed:
            message = f"{shown(swallowed)} stands on the line of {keyword.name}: keepalived ignores it"
            self.note(complaints.SWALLOWED, node, message, "write each keyword on a line of its own", used)
        else:
            message = f"keepalived ignores what stands behind {shown(node.words[used - 1])}"
            self.note(complaints.TOO_MANY, node, message, f"remove {shown(' '.join(rest))}", used)

    def match(self, node: Node, arguments: tuple[Argument, ...], at: int, name: str) -> tuple[bool, int]:
        """Whether the words from `at` on fit, and how many words of the statement were used up."""
        words, sound = node.words, True
        for index, argument in enumerate(arguments):
            if at >= len(words):
                break
            if argument.many:
                for position in range(at, len(words)):
                    sound = self._fits(node, argument, position, name) and sound
                return sound, len(words)
            later = arguments[index + 1 :]
            if argument.optional and argument.check(words[at]) and any(not more.check(words[at]) for more in later):
                continue
            sound = self._fits(node, argument, at, name) and sound
            at += 1
        return sound, at

    def _fits(self, node: Node, argument: Argument, at: int, name: str) -> bool:
        wrong = argument.check(node.words[at])
        if wrong:
            code = complaints.RANGE if wrong.startswith(("is out of range", "is negative")) else complaints.INVALID
            word = "the password" if argument.kind == "password" else shown(node.words[at])
            self.note(code, node, f"{name}: {word} {wrong}", _meant(argument, node.words[at]), at)
        return not wrong

    def listed(self, node: Node, kind: Listed, block: str) -> None:
        """A line of a listing block: what comes first, then options in any order."""
        words = node.words
        if words[0] in kind.instead:
            _, at = self.match(node, kind.instead[words[0]], 1, words[0])
        else:
            _, at = self.match(node, kind.first, 0, block)
        while at < len(words):
            option = kind.options.get(words[at])
            if option is not None:
                at = self._option(node, kind, option, at)
            elif kind.any and not kind.any[0].check(words[at]):
                at += 1
            else:
                self._unknown_option(node, kind, block, at)
                return

    def _tunnel(self, node: Node) -> None:
        """A gue tunnel has a port, and no other has one."""
        words = node.words
        if len(words) < 3 or words[1] != "TUN":
            return
        kind = words[words.index("type") + 1 :][:1] if "type" in words else ()
        if ("gue" in kind) != ("port" in words):
            message = "a gue tunnel needs a port, and no other takes one: keepalived leaves the method out"
            self.note(complaints.INVALID, node, message, "write `type gue port PORT`, or remove the port", 2)

    def _option(self, node: Node, kind: Listed, option: tuple[Argument, ...], at: int) -> int:
        """One option and what stands behind it; returns where the next one begins."""
        words, name = node.words, node.words[at]
        if name in kind.deprecated:
            self.note(complaints.DEPRECATED, node, f"{name} is deprecated", f"write {kind.deprecated[name]}", at)
        least = sum(not argument.optional for argument in option)
        if len(words) - at - 1 < least:
            message = f"{name} needs {least} word{'s' * (least > 1)} behind it: keepalived cannot use the line"
            self.note(complaints.MISSING, node, message, word=at)
            return len(words)
        end = at + 1
        for argument in option:
            taken = end < len(words) and (argument.many or not argument.optional or not argument.check(words[end]))
            if argument.many:
                return len(words)
            if taken:
                self._fits(node, argument, end, name)
                # `via inet6 ADDRESS` has a word more than `via ADDRESS`.
                end += 2 if argument.kind == "via" and words[end] in ("inet", "inet6") else 1
        return end

    def _unknown_option(self, node: Node, kind: Listed, block: str, at: int) -> None:
        word = node.words[at]
        hint = self._nearest(word, kind.options, block) or "write one entry a line"
        self.note(complaints.TOO_MANY, node, f"{block}: keepalived does not understand {shown(word)} here", hint, at)

    @staticmethod
    def judges(block: Node, around: Node) -> bool:
        """Whether anything is to be said of a block as a whole: of most of a large file's nothing is."""
        keyword = block.keyword
        if keyword is None or keyword.listed is not None or keyword.block in needs():
            return True
        if keyword.block == "real_server":
            return (":" in block.arg()) != (":" in around.arg())
        return keyword.block == "bfd_instance"

    def closed(self, block: Node, end: Node, around: Node) -> None:
        """A block that is whole now: complaints stand at its closing brace `end`, where keepalived has them too."""
        keyword = block.keyword
        if keyword is None:
            return
        if keyword.listed is not None:
            if keyword.listed.filled and not block.children:
                self.note(complaints.NOTHING, end, f"{keyword.name} lists nothing", "fill it, or remove it")
            return
        for group in needs().get(keyword.block, ()):
            if not any(_is_given(block, name) for name in group):
                message = f"{shown(' '.join(block.words))} has no {' and no '.join(group)}: keepalived leaves it out"
                self.note(complaints.NEEDED, end, message, f"add {group[0]}")
        if keyword.block == "real_server":
            self._family(block, end, around)
        elif keyword.block == "bfd_instance":
            self._family_of_bfd(block, end)

    def early(self, block: Node, end: Node, stray: Node) -> None:
        """The keyword behind a closing brace belongs into the block that it closed."""
        what = shown(" ".join(block.words[:2]))
        message = f"this }} closes {what}, but {shown(stray.words[0])}, on line {stray.line}, belongs in it"
        self.note(complaints.STRAY_CLOSE, end, message, "remove it, if it is one too many")

    def _family(self, real: Node, end: Node, virtual: Node) -> None:
        """IPVS translates no addresses: but through a tunnel, both sides are of one family."""
        hosts = [server.arg().partition("/")[0] for server in (real, virtual)]
        if (":" in hosts[0]) == (":" in hosts[1]) or not all(map(is_ip, hosts)):
            return
        methods = [server.value(name) for server in (real, virtual) for name in ("lvs_method", "lb_kind")]
        if next((method for method in methods if method), "NAT") != "TUN":
            message = (
                f"{real.arg()} and {virtual.arg()} are not of one address family: keepalived leaves the server out"
            )
            self.note(complaints.FAMILY, end, message, "use servers of the same family, or lvs_method TUN")

    def _family_of_bfd(self, block: Node, end: Node) -> None:
        source, neighbor = block.value("source_ip"), block.value("neighbor_ip") or block.value("neighbour_ip")
        if is_ip(source) and is_ip(neighbor) and (":" in source) != (":" in neighbor):
            message = f"{source} and {neighbor} are not of one address family: keepalived leaves the instance out"
            self.note(complaints.FAMILY, end, message, "use a source_ip of the neighbour's family")


def _is_given(block: Node, name: str) -> bool:
    """Whether a keyword is there, with what it needs behind it."""
    return any(child.keyword is None or len(child.words) > child.keyword.least for child in block.all(name))


def _meant(argument: Argument, word: str) -> str:
    """The one of a few words that was meant, perhaps."""
    if argument.kind not in ("one", "any") or len(word) > _LONGEST_KEYWORD:
        return ""
    known = argument.note.split("|")
    same = next((one for one in known if one.lower() == word.lower()), "")
    near = [same] if same else difflib.get_close_matches(word.upper(), known, 1, 0.6)
    return f"write {near[0]}" if near else ""
