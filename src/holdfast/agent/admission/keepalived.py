"""keepalived.conf: a strict subset of its language, and commands only in the forms of the probe.

What keepalived might read differently than we do (variables, conditions, continued lines, includes, quotes within
words, several statements on a line) is refused, so that what is inspected is what runs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from holdfast.agent.admission.files import unknown_name
from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.agent.admission.keepalived_words import COMMANDS, FILES, ROOT, TEXTS, USERS, Block
from holdfast.agent.policy import LONGEST_TIMEOUT_MS, Policy
from holdfast.agent.probes.install import PROBE
from holdfast.bundle import WEIGHT_DIR, BundleFile
from holdfast.findings import Finding
from holdfast.keepalived.lexer import Kind, Token, lex

_LONGEST_LINE = 800  # characters; keepalived's own buffer is 1024
_WORD = re.compile(r"[A-Za-z0-9_./:@+,=~%?&()*;-]+")
_STATEMENT = re.compile(r"[A-Za-z0-9_-]+")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_HTTP = re.compile(rf"{re.escape(PROBE)} http (\S+):([0-9]{{1,5}}) (/\S*) ([0-9]{{1,5}})")
_PROCESS = re.compile(rf"{re.escape(PROBE)} process [A-Za-z0-9][A-Za-z0-9._:+-]{{0,62}}")
_SCRIPT = re.compile(rf"{re.escape(PROBE)} script ({_NAME})")
_HOOK = re.compile(rf"{re.escape(PROBE)} hook ({_NAME}) {_NAME} (active|standby|fault|stop)")
# A virtual server's: `shop.v6`, `10.0.0.21-80`.
_LONG_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}"
_SERVER_SCRIPT = re.compile(rf"{re.escape(PROBE)} script ({_NAME}) ([0-9a-f:.]{{2,45}}) ([0-9]{{1,5}})")
_SERVER_HOOK = re.compile(rf"{re.escape(PROBE)} hook ({_NAME}) {_LONG_NAME} (up|down) {_LONG_NAME}")
_QUORUM_HOOK = re.compile(rf"{re.escape(PROBE)} hook ({_NAME}) {_LONG_NAME} (gained|lost)")
_WEIGHT_FILE = re.compile(rf"{_LONG_NAME}/{_LONG_NAME}")
_LEFT = re.compile(rf"{re.escape(PROBE)} left ({_NAME})(?: ({_NAME}) (standby|fault))?")
_TRACKED = ("track_file", "vrrp_track_file")
_PLAIN_FILE = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)+")
_KERNEL_FILES = ("/dev/", "/proc/", "/sys/")
_GROUP_NEWS = ("hook", "left")
# Which forms of the probe stand behind which keyword.
_FORMS: dict[str, tuple[str, ...]] = {
    "script": ("http", "process", "script"),
    "misc_path": ("server script",),
    "notify_up": ("server up",),
    "notify_down": ("server down",),
    "quorum_up": ("quorum gained",),
    "quorum_down": ("quorum lost",),
}
_HINTS = {
    "script": "http|process|script …",
    "misc_path": "script NAME ADDRESS PORT",
    "notify_up": "hook NAME VIRTUAL_SERVER up SERVER",
    "notify_down": "hook NAME VIRTUAL_SERVER down SERVER",
    "quorum_up": "hook NAME VIRTUAL_SERVER gained",
    "quorum_down": "hook NAME VIRTUAL_SERVER lost",
}
_CHECKS = frozenset({"script", "misc_path"})  # their exit status counts; the other commands announce
_LOSSES = frozenset({"notify_backup", "notify_fault"})
_PROBE_USERS: tuple[list[str], ...] = ([], ["nobody"], ["nobody", "nogroup"])
_ROOT_USER = (["root"], ["root", "root"])


def check(file: BundleFile, policy: Policy) -> list[Finding]:
    """Everything in the file that is not allowed."""
    found = odd_characters(file.path, file.content, "ADM200")
    if not found:
        found = _check_lines(file)
    if not found:
        found = _Reader(file.path, policy).read(lex(file.content))
    return found


def _check_lines(file: BundleFile) -> list[Finding]:
    """Signs that change how keepalived splits its input, before it looks at words."""
    found = []
    for number, line in enumerate(file.content.split("\n"), start=1):
        code = line.lstrip()
        if len(line) > _LONGEST_LINE:
            message = f"a line is longer than {_LONGEST_LINE} characters"
            found.append(refuse("ADM201", message, file.path, number))
        if "\\" in line or "$" in line:
            message = "backslashes and variables may not be used, not even in comments"
            found.append(refuse("ADM202", message, file.path, number))
        if code.startswith(("@", "~")) or "~SEQ" in line.upper() or code.lower().startswith("include"):
            message = f"{shown(code)}: conditions, sequences and includes may not be used"
            found.append(refuse("ADM203", message, file.path, number))
        if not line.isascii() and not code.startswith(("#", "!")):
            found.append(refuse("ADM204", "only comments may hold other than ASCII signs", file.path, number))
    return found


class _Reader:
    """Walks the tokens, one statement a line, and keeps what it has to refuse."""

    def __init__(self, path: str, policy: Policy) -> None:
        self._path = path
        self._policy = policy
        self._found: list[Finding] = []
        self._stack: list[Block | None] = [ROOT]  # None: inside a block that was refused already
        self._statement: list[Token] = []
        self._commands: list[tuple[Token, str]] = []  # of the block being read: those that need root
        self._users: list[tuple[Token, list[str]]] = []
        self._instance = ""  # the name of the vrrp_instance being read
        self._tracked = ""  # the name of the track_file being read
        self._weights: set[str] = set()  # the weight files that were defined
        self._script_user = False
        self._has_commands = False
        self._opened_on_line = self._closed_on_line = 0

    def read(self, tokens: Sequence[Token]) -> list[Finding]:
        for token in tokens:
            match token.kind:
                case Kind.NEWLINE | Kind.END:
                    self._end_statement()
                case Kind.COMMENT:
                    if self._statement and not token.gap:
                        self._refuse("ADM205", "a comment begins inside a word", token)
                case Kind.OPEN:
                    self._open(token)
                case Kind.CLOSE:
                    self._close(token)
                case Kind.UNTERMINATED:
                    self._refuse("ADM205", "a quote is not closed on its line", token)
                case Kind.WORD | Kind.QUOTED:
                    self._add(token)
        if len(self._stack) > 1:
            self._refuse("ADM206", "a block is not closed", tokens[-1])
        if self._has_commands and not self._script_user:
            message = "commands need `script_user nobody nogroup` in global_defs: else they run as root"
            self._refuse("ADM213", message, tokens[0])
        return self._found

    def _refuse(self, code: str, message: str, token: Token, hint: str = "") -> None:
        self._found.append(refuse(code, message, self._path, token.line, token.column, hint))

    def _add(self, token: Token) -> None:
        if self._statement and not token.gap:
            self._refuse("ADM205", f"{shown(token.raw)} touches the word before it", token)
        if self._closed_on_line == token.line:
            self._refuse("ADM206", "nothing may follow a closing brace on its line", token)
        if token.kind is Kind.WORD and not _WORD.fullmatch(token.raw):
            self._refuse("ADM204", f"{shown(token.raw)} has signs that may not be used", token)
        self._statement.append(token)

    def _open(self, token: Token) -> None:
        words, self._statement = self._statement, []
        block = self._stack[-1]
        most = 3 if len(self._stack) == 1 or (words[:1] and words[0].raw == "real_server") else 1
        if not 1 <= len(words) <= most or not token.gap or any(word.kind is not Kind.WORD for word in words):
            self._refuse("ADM206", "a block begins as `keyword name {`", token)
            self._stack.append(None)
            return
        inner = block.blocks.get(words[0].raw) if block else None
        if block is not None and inner is None:
            self._refuse("ADM207", f"the block {shown(words[0].raw)} may not stand here", words[0])
        self._opened_on_line = token.line
        if len(self._stack) == 1:
            self._instance = words[-1].raw if words[0].raw == "vrrp_instance" and len(words) == 2 else ""
            self._tracked = words[-1].raw if words[0].raw in _TRACKED and len(words) == 2 else ""
            if "/" in self._tracked:
                self._weights.add(self._tracked)
        self._stack.append(inner)

    def _close(self, token: Token) -> None:
        if self._statement or self._opened_on_line == token.line or self._closed_on_line == token.line:
            self._refuse("ADM206", "a closing brace stands on a line of its own", token)
        self._statement = []
        self._closed_on_line = token.line
        if len(self._stack) == 1:
            self._refuse("ADM206", "a brace closes that none opened", token)
            return
        self._stack.pop()
        self._check_users()

    def _end_statement(self) -> None:
        words, self._statement = self._statement, []
        block = self._stack[-1]
        if not words or block is None:
            return
        first = words[0]
        if self._opened_on_line == first.line:
            self._refuse("ADM206", "nothing may follow an opening brace on its line", first)
        if block.items is not None:
            if first.kind is not Kind.WORD or not block.items.fullmatch(first.raw):
                self._refuse("ADM209", f"{shown(first.raw)} is not what this block lists", first)
            # Should keepalived ever read this list as keywords, it must find none that runs something.
            if any(word.raw in COMMANDS | USERS for word in words):
                self._refuse("ADM209", "a keyword may not stand in a list", first)
            self._only_words(words[1:])
        elif first.kind is not Kind.WORD or first.raw not in block.keywords:
            hint = "an agent takes only the keywords that Holdfast's compiler writes"
            self._refuse("ADM208", f"the keyword {shown(first.raw)} may not stand here", first, hint)
        else:
            self._check_values(first.raw, words[1:])

    def _check_values(self, keyword: str, values: list[Token]) -> None:
        if keyword in COMMANDS:
            self._check_command(keyword, values)
        elif keyword in USERS:
            self._check_user(keyword, values)
        elif keyword in FILES:
            self._check_file(values)
        elif keyword == "track_file":
            self._check_weight_file(values)
        elif keyword in TEXTS and len(values) == 1:
            return  # in quotes: what was read between them is what keepalived reads
        else:
            self._only_words(values)

    def _only_words(self, values: list[Token]) -> None:
        for value in values:
            if value.kind is not Kind.WORD:
                self._refuse("ADM210", f"{shown(value.raw)} may not be quoted", value)

    def _check_file(self, values: list[Token]) -> None:
        text = values[0].text if len(values) == 1 else ""
        if not _PLAIN_FILE.fullmatch(text) or text.startswith(_KERNEL_FILES) or ".." in text:
            message = f"{shown(' '.join(value.raw for value in values))} is not a plain file"
            self._refuse("ADM211", message, values[0] if values else self._nowhere())

        elif "/" in self._tracked and text != f"{WEIGHT_DIR}/{self._tracked}":
            message = f"the weight file {shown(self._tracked)} is not {shown(text)}"
            self._refuse("ADM211", message, values[0], f"{WEIGHT_DIR}/{self._tracked}")

    def _check_weight_file(self, values: list[Token]) -> None:
        """What a FILE_CHECK follows adds to a weight, so it is one of the files that overrides are written to."""
        text = values[0].raw if len(values) == 1 else ""
        if not _WEIGHT_FILE.fullmatch(text):
            message = f"{shown(' '.join(value.raw for value in values))} is no weight file"
            self._refuse("ADM214", message, values[0] if values else self._nowhere(), "VIRTUAL_SERVER/SERVER")
        elif text not in self._weights:
            self._refuse("ADM214", f"the weight file {shown(text)} is not defined before", values[0])

    def _nowhere(self) -> Token:
        return Token(Kind.WORD, "", "", max(self._opened_on_line, 1), 1)

    def _check_command(self, keyword: str, values: list[Token]) -> None:
        self._has_commands = True
        token = values[0] if values else self._nowhere()
        if not values or token.kind is not Kind.QUOTED:
            self._refuse("ADM212", f"{keyword} needs one quoted command", token)
            return
        kind, name = probe_form(token.text)
        checks = keyword in _CHECKS
        if kind not in _FORMS.get(keyword, _GROUP_NEWS):
            hint = f"{PROBE} {_HINTS.get(keyword, 'hook NAME GROUP STATE|left GROUP …')}"
            self._refuse("ADM212", f"{keyword} may not run {shown(token.text)}", token, hint)
            return
        # Its addresses are those of the instance that it names, so it must be the one that just lost them.
        if kind == "left" and (keyword not in _LOSSES or token.text.split()[2] != self._instance):
            hint = f"notify_backup and notify_fault of a vrrp_instance may run {PROBE} left INSTANCE [NAME STATE]"
            self._refuse("ADM212", f"{keyword} may not run {shown(token.text)} here", token, hint)
        scripts = kind in ("script", "server script")
        if name and name not in (self._policy.scripts if scripts else self._policy.hooks):
            table = "scripts" if scripts else "hooks"
            self._found.append(unknown_name(table, name, self._path, token.line, token.column))
        if checks:
            self._commands.append((token, kind))
            if len(values) > 1:
                self._refuse("ADM212", f"{keyword} takes the command alone", values[1])
        elif [value.raw for value in values[1:]] not in ([], *_ROOT_USER):
            self._refuse("ADM213", "a hook's user is `root root` (the probe drops its rights)", token)

    def _check_user(self, keyword: str, values: list[Token]) -> None:
        names = [value.raw for value in values]
        token = values[0] if values else self._nowhere()
        if keyword == "script_user":
            self._script_user = True
            if names not in _PROBE_USERS[1:]:
                self._refuse("ADM213", "script_user is `nobody nogroup`", token)
        else:
            self._users.append((token, names))

    def _check_users(self) -> None:
        """At the end of a block: root is for the probe's forms that drop their rights by themselves."""
        dropping = bool(self._commands) and all(kind.endswith("script") for _, kind in self._commands)
        for token, names in self._users:
            if names not in _PROBE_USERS and not (dropping and names in _ROOT_USER):
                message = f"{shown(' '.join(names))} may not run this"
                self._refuse("ADM213", message, token, "`user root root` is for `probe script NAME` alone")
        self._commands, self._users = [], []


def probe_form(text: str) -> tuple[str, str]:
    """(form, policy name) of a command that calls the probe exactly as it may be called; ("", "") for any other."""
    if script := _SCRIPT.fullmatch(text):
        return "script", script[1]
    if hook := _HOOK.fullmatch(text):
        return "hook", hook[1]
    if (asked := _SERVER_SCRIPT.fullmatch(text)) and _is_server(asked[2], asked[3]):
        return "server script", asked[1]
    if told := _SERVER_HOOK.fullmatch(text):
        return f"server {told[2]}", told[1]
    if told := _QUORUM_HOOK.fullmatch(text):
        return f"quorum {told[2]}", told[1]
    if left := _LEFT.fullmatch(text):
        return "left", left[2] or ""
    if _PROCESS.fullmatch(text):
        return "process", ""
    http = _HTTP.fullmatch(text)
    if http and _is_endpoint(http[1], http[2]) and 1 <= int(http[4]) <= LONGEST_TIMEOUT_MS:
        return ("http", "") if _WORD.fullmatch(http[3]) else ("", "")
    return "", ""


def _is_server(address: str, port: str) -> bool:
    return _is_endpoint(f"[{address}]" if ":" in address else address, port)


def _is_endpoint(address: str, port: str) -> bool:
    bracketed = address.startswith("[") and address.endswith("]")
    try:
        version = ipaddress.ip_address(address[1:-1] if bracketed else address).version
    except ValueError:
        return False
    return (version == 6) is bracketed and "%" not in address and 1 <= int(port) <= 65_535
