"""Compares one statement with its row of the tables: how many words, and of which kind."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cache

from holdfast.sentences import Sentence

from . import complaints
from .complaints import Code, Complaints, shown
from .keywords import OLDEST, Argument, Keyword, Listed, Table, homes, needs, tables
from .tree import Node
from .values import is_ip

_MOST_SOUND = 4_096  # statements remembered of one keyword
_MOST_HINTS = 200
_LONGEST_KEYWORD = 45
PASSED_OVER = Sentence("skips the whole block")
_ENDS = Sentence("ends here")
_OUTSIDE = Sentence("outside all blocks")
_REMOVE_ONE = Sentence("remove one of the two")
# Blocks that keepalived passes over where they have no name; at others it stops reading.
_SKIPPED_NAMELESS = frozenset({"vrrp_instance", "vrrp_sync_group", "track_group"})


class Checker:
    """Checks against the release `version`, and notes what it finds."""

    def __init__(self, notes: Complaints, version: tuple[int, ...]) -> None:
        self._notes = notes
        self._version = version
        self._hints: dict[tuple[str, str], Sentence | None] = {}

    def note(self, code: Code, node: Node, message: Sentence, hint: Sentence | None = None, word: int = 0) -> None:
        """A complaint about the word `word` of a statement."""
        if self._notes.full:
            return
        if node.origin is not None:
            where = f"{node.origin.source.name}:{node.origin.line}"
            name = shown(node.origin.name)[1:-1]
            message = Sentence(
                "%(message)s (the text of $%(name)s, %(where)s)", message=message, name=name, where=where
            )
        self._notes.add(code, node.source, node.line, node.span(word)[0], message, hint)

    def unknown(self, node: Node, table: Table, block: str) -> None:
        """A keyword that its block does not have: elsewhere in its place, or nowhere."""
        if self._notes.full:
            return
        name = node.words[0]
        where = _where(block)
        places = homes().get(name, ())
        if places:
            missing = Sentence("is a } missing before it?")
            hint = missing if "root" in places else self._newer(name, table, places) or _belongs(places)
            message = Sentence("%(word)s cannot stand %(where)s", word=shown(name), where=where)
            self.note(complaints.WRONG_PLACE, node, message, hint)
            return
        message = Sentence("keepalived knows no keyword %(word)s %(where)s", word=shown(name), where=where)
        self.note(complaints.UNKNOWN, node, message, self._nearest(name, table, block))

    @staticmethod
    def _newer(name: str, table: Table, places: tuple[str, ...]) -> Sentence | None:
        """The newer name that this block knows, where the old one is for others."""
        newer = {tables()[place][name].deprecated for place in places if name in tables().get(place, {})}
        here = next((one for one in sorted(newer - {None, ""}, key=str) if one in table), "")
        return Sentence("write %(what)s instead", what=here) if here else None

    def _nearest(self, name: str, known: Collection[str], block: str) -> Sentence | None:
        """What was meant, perhaps; found for the first few names alone, because it takes long."""
        key = (name, block)
        if key not in self._hints:
            if len(self._hints) >= _MOST_HINTS or len(name) > _LONGEST_KEYWORD:
                return None
            near = difflib.get_close_matches(name, known, 1, 0.75)
            far = difflib.get_close_matches(name, homes(), 1, 0.85) if not near else []
            # `tables()` has what keywords hold in braces; what lists hold is no keyword of a block.
            elsewhere = self._newer(far[0], tables().get(block, {}), homes()[far[0]]) if far else None
            if far and elsewhere is None:
                belongs = _belongs(homes()[far[0]])
                elsewhere = Sentence("did you mean %(word)s? %(belongs)s", word=far[0], belongs=belongs)
            self._hints[key] = Sentence("did you mean %(word)s?", word=near[0]) if near else elsewhere
        return self._hints[key]

    def statement(self, node: Node, keyword: Keyword, table: Table) -> None:
        """The words of a keyword; those that are sound need not be asked again, nor any when nothing more is noted."""
        if self._notes.full:
            return
        words = node.words
        if keyword.deprecated is not None:
            what = keyword.deprecated
            hint = Sentence("write %(what)s instead", what=_worded(what)) if what else Sentence("remove it")
            self.note(complaints.DEPRECATED, node, Sentence("%(name)s is deprecated", name=keyword.name), hint)
        if keyword.built:
            message = Sentence(
                "%(name)s works only where keepalived is built with %(library)s, as Debian's is not",
                name=keyword.name,
                library=keyword.built,
            )
            self.note(complaints.NOT_BUILT, node, message)
        if keyword.since > self._version:
            since, version = (".".join(map(str, release)) for release in (keyword.since, self._version))
            message = Sentence(
                "%(name)s came with keepalived %(since)s; %(version)s does not know it",
                name=keyword.name,
                since=since,
                version=version,
            )
            self.note(complaints.TOO_NEW, node, message)
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
            message = Sentence("words stand between %(name)s and its brace: keepalived ignores them", name=keyword.name)
            self.note(complaints.HEADER, node, message, Sentence("write them inside the braces"), 1)
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
        if self._notes.full:
            return
        needed = tuple(argument.note or argument.kind for argument in keyword.arguments if not argument.optional)
        self.note(complaints.MISSING, node, *_missing(keyword.name, needed))

    def _too_many(self, node: Node, keyword: Keyword, table: Table, used: int) -> None:
        rest = node.words[used:]
        if keyword.arguments and keyword.arguments[-1].kind == "password":
            message = Sentence("the password ends at the first blank: keepalived ignores the words behind it")
            self.note(complaints.TOO_MANY, node, message, Sentence("put the whole password in quotes"), used)
            return
        inner = tables().get(keyword.block, {})
        swallowed = next((word for word in rest if word in table or word in inner), "")
        if swallowed:
            message = Sentence(
                "%(word)s stands on the line of %(name)s: keepalived ignores it",
                word=shown(swallowed),
                name=keyword.name,
            )
            self.note(complaints.SWALLOWED, node, message, Sentence("write each keyword on a line of its own"), used)
        else:
            message = Sentence("keepalived ignores what stands behind %(word)s", word=shown(node.words[used - 1]))
            hint = Sentence("remove %(words)s", words=shown(" ".join(rest)))
            self.note(complaints.TOO_MANY, node, message, hint, used)

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
            word = Sentence("the password") if argument.kind == "password" else shown(node.words[at])
            message = Sentence("%(name)s: %(word)s %(wrong)s", name=name, word=word, wrong=wrong)
            self.note(code, node, message, _meant(argument, node.words[at]), at)
        return not wrong

    def listed(self, node: Node, kind: Listed, block: str) -> None:
        """A line of a listing block: what comes first, then options in any order."""
        if self._notes.full:
            return
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
            message = Sentence("a gue tunnel needs a port, and no other takes one: keepalived leaves the method out")
            hint = Sentence("write `type gue port PORT`, or remove the port")
            self.note(complaints.INVALID, node, message, hint, 2)

    def _option(self, node: Node, kind: Listed, option: tuple[Argument, ...], at: int) -> int:
        """One option and what stands behind it; returns where the next one begins."""
        words, name = node.words, node.words[at]
        if name in kind.deprecated:
            hint = Sentence("write %(what)s", what=_worded(kind.deprecated[name]))
            self.note(complaints.DEPRECATED, node, Sentence("%(name)s is deprecated", name=name), hint, at)
        least = sum(not argument.optional for argument in option)
        if len(words) - at - 1 < least:
            message = Sentence("%(needs)s: keepalived cannot use the line", needs=_needs(name, least))
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
        hint = self._nearest(word, kind.options, block) or Sentence("write one entry a line")
        message = Sentence("%(block)s: keepalived does not understand %(word)s here", block=block, word=shown(word))
        self.note(complaints.TOO_MANY, node, message, hint, at)

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
                message = Sentence("%(name)s lists nothing", name=keyword.name)
                self.note(complaints.NOTHING, end, message, Sentence("fill it, or remove it"))
            return
        for group in needs().get(keyword.block, ()):
            if not any(_is_given(block, name) for name in group):
                names = {"block": shown(" ".join(block.words)), "names": ", ".join(group)}
                message = Sentence("%(block)s has no %(names)s: keepalived leaves it out", **names)
                if len(group) > 1:
                    message = Sentence("%(block)s has none of %(names)s: keepalived leaves it out", **names)
                self.note(complaints.NEEDED, end, message, Sentence("add %(name)s", name=group[0]))
        if keyword.block == "real_server":
            self._family(block, end, around)
        elif keyword.block == "bfd_instance":
            self._family_of_bfd(block, end)

    def early(self, block: Node, end: Node, stray: Node) -> None:
        """The keyword behind a closing brace belongs into the block that it closed."""
        what = shown(" ".join(block.words[:2]))
        message = Sentence(
            "this } closes %(block)s, but %(word)s, on line %(line)s, belongs in it",
            block=what,
            word=shown(stray.words[0]),
            line=stray.line,
        )
        self.note(complaints.STRAY_CLOSE, end, message, Sentence("remove it, if it is one too many"))

    def twice(self, node: Node, keyword: Keyword, before: Node) -> None:
        """What counts once stands a second time."""
        if self._notes.full:
            return
        where: str = Sentence("line %(line)s", line=before.line)
        if before.source is not node.source:
            where = f"{before.source.name}:{before.line}"
        names = {"name": keyword.name, "where": where}
        if keyword.named:
            message = Sentence("%(name)s %(word)s is defined already, at %(where)s", word=shown(node.arg()), **names)
            hint = Sentence("give it another name, or remove one of the two")
            self.note(complaints.TWICE, node, message, hint, 1)
        elif keyword.repeat == "first":
            message = Sentence("%(name)s is given already, at %(where)s: keepalived ignores this one", **names)
            self.note(complaints.REPEATED, node, message, _REMOVE_ONE)
        else:
            message = Sentence("%(name)s is given already, at %(where)s: this one replaces it", **names)
            self.note(complaints.REPEATED, node, message, _REMOVE_ONE)

    def _family(self, real: Node, end: Node, virtual: Node) -> None:
        """IPVS translates no addresses: but through a tunnel, both sides are of one family."""
        hosts = [server.arg().partition("/")[0] for server in (real, virtual)]
        if (":" in hosts[0]) == (":" in hosts[1]) or not all(map(is_ip, hosts)):
            return
        methods = [server.value(name) for server in (real, virtual) for name in ("lvs_method", "lb_kind")]
        if next((method for method in methods if method), "NAT") != "TUN":
            message = Sentence(
                "%(server)s and %(virtual)s are not of one address family: keepalived leaves the server out",
                server=real.arg(),
                virtual=virtual.arg(),
            )
            self.note(complaints.FAMILY, end, message, Sentence("use servers of the same family, or lvs_method TUN"))

    def _family_of_bfd(self, block: Node, end: Node) -> None:
        source, neighbor = block.value("source_ip"), block.value("neighbor_ip") or block.value("neighbour_ip")
        if is_ip(source) and is_ip(neighbor) and (":" in source) != (":" in neighbor):
            message = Sentence(
                "%(source)s and %(neighbor)s are not of one address family: keepalived leaves the instance out",
                source=source,
                neighbor=neighbor,
            )
            self.note(complaints.FAMILY, end, message, Sentence("use a source_ip of the neighbour's family"))


def _is_given(block: Node, name: str) -> bool:
    """Whether a keyword is there, with what it needs behind it."""
    return any(child.keyword is None or len(child.words) > child.keyword.least for child in block.all(name))


def _belongs(places: tuple[str, ...]) -> Sentence:
    if len(places) == 1:
        return Sentence("it belongs in %(place)s", place=places[0])
    return Sentence("it belongs in one of %(places)s", places=", ".join(places))


@cache
def _missing(name: str, needed: tuple[str, ...]) -> tuple[Sentence, Sentence]:
    """What is said of a keyword without its words, and what to write: a file may say it in each of its lines."""
    then = PASSED_OVER if name in _SKIPPED_NAMELESS else _ENDS
    message = Sentence("%(needs)s: keepalived %(then)s", needs=_needs(name, len(needed)), then=then)
    return message, Sentence("write %(what)s", what=f"{name} {' '.join(f'<{one}>' for one in needed)}")


@cache
def _where(block: str) -> Sentence:
    return Sentence("in %(block)s", block=block) if block != "root" else _OUTSIDE


def _needs(name: str, words: int) -> Sentence:
    if words == 1:
        return Sentence("%(name)s needs 1 word behind it", name=name)
    return Sentence("%(name)s needs %(n)s words behind it", name=name, n=words)


def _worded(text: str) -> str:
    """The tables say in words what replaces some keywords."""
    return Sentence(text) if " " in text else text


def _meant(argument: Argument, word: str) -> Sentence | None:
    """The one of a few words that was meant, perhaps."""
    if argument.kind not in ("one", "any") or len(word) > _LONGEST_KEYWORD:
        return None
    known = argument.note.split("|")
    same = next((one for one in known if one.lower() == word.lower()), "")
    near = [same] if same else difflib.get_close_matches(word.upper(), known, 1, 0.6)
    return Sentence("write %(what)s", what=near[0]) if near else None
