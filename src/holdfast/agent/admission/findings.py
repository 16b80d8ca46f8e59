"""How an admission check says what it refuses."""

from __future__ import annotations

import unicodedata

from holdfast.findings import Finding, Location, Severity

_SHOWN = 80  # characters of foreign text in a message


def refuse(code: str, message: str, file: str, line: int = 1, column: int = 1, hint: str = "") -> Finding:
    """An error at a place of a bundle's file."""
    where = Location(file=file, line=line, column=column)
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=where)


def shown(text: str) -> str:
    """Foreign text, quoted and cut, so that a message can be trusted to stay one line."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return ascii(cut) if any(not sign.isprintable() for sign in cut) else repr(cut)


def odd_characters(path: str, content: str, code: str) -> list[Finding]:
    """Characters that two programs may read differently: controls, and blanks that only look like blanks."""
    for number, line in enumerate(content.split("\n"), start=1):
        for column, sign in enumerate(line, start=1):
            if sign not in " \t" and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"):
                message = f"the character U+{ord(sign):04X} has no place in a configuration"
                return [refuse(code, message, path, number, column)]
    return []
