"""What the console says, in English and Chinese: English is the source, catalogues are read once, without a build."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from holdfast.sentences import Sentence

FOLDER = Path(__file__).parent / "locale"
LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
TAGS: Mapping[str, str] = {"en": "en", "zh": "zh-CN"}  # as HTML says it
SOURCE = "en"
_LONGEST_HEADER = 500  # characters
_WISH = re.compile(r"\s*([A-Za-z*]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([0-9.]{1,5})\s*)?")


def N_(text: str) -> str:  # noqa: N802  # gettext's own name for "to be translated later"
    """Marks a text that is translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Words:
    """One language: `say` for texts out of the code, `translations` for templates."""

    language: str
    translations: gettext.NullTranslations

    def say(self, text: str, **values: object) -> str:
        """A text of the source, with its `%(name)s` filled in; one that is not in the catalogue stays English."""
        said = self.translations.gettext(text) if text else ""
        return said % values if values else said

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """A text that depends on a number, which it calls `%(n)s`."""
        return self.translations.ngettext(one, many, number) % {"n": number, **values}

    def knows(self, text: str) -> bool:
        """Whether a text is said in this language: what is not is quoted, as what another language says."""
        source = text.template if isinstance(text, Sentence) else str(text)
        return not source or self.language == SOURCE or self.translations.gettext(source) != source

    def tell(self, text: str) -> str:
        """What the core says: a sentence with its names, and with those of its parts that are sentences themselves."""
        if not isinstance(text, Sentence):
            return self.say(str(text))
        values = {name: self.tell(one) if isinstance(one, Sentence) else one for name, one in text.values.items()}
        return self.translations.gettext(text.template) % values

    def name(self, text: str) -> str:
        """What something is called: told where it is a sentence, and else its own name, whatever word that may be."""
        return self.tell(text) if isinstance(text, Sentence) else str(text)

    @property
    def tag(self) -> str:
        """The language as HTML says it."""
        return TAGS[self.language]


def catalogue(language: str) -> Catalog:
    """All that is translated into a language: its files, one for each part of the console, as one."""
    whole = Catalog(locale=language)
    for path in sorted((FOLDER / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    whole.add(message.id, message.string, context=message.context)
    return whole


@cache
def words_of(language: str) -> Words:
    """A language of LANGUAGES; read once."""
    if language == SOURCE:
        return Words(language, gettext.NullTranslations())
    written = BytesIO()
    write_mo(written, catalogue(language))
    written.seek(0)
    return Words(language, gettext.GNUTranslations(written))


def chosen(cookie: str, accepted: str) -> str:
    """The language of somebody: what they chose, else what their browser likes best, else English."""
    if cookie in LANGUAGES:
        return cookie
    return next((one for one in _liked(accepted[:_LONGEST_HEADER]) if one in LANGUAGES), SOURCE)


def _liked(accepted: str) -> Iterable[str]:
    """What an Accept-Language header asks for, best first."""
    wishes: list[tuple[float, int, str]] = []
    for part in accepted.split(","):
        found = _WISH.fullmatch(part)
        if found:
            wishes.append((-_quality(found[2]), len(wishes), found[1].lower()))
    return [language for quality, _, language in sorted(wishes) if quality < 0]


def _quality(text: str | None) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
