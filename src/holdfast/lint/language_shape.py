"""What the language's reader finds about the shape of a file: braces, quotes, odd signs, includes, variables, "
"limits."""

from __future__ import annotations

from holdfast.keepalived import complaints

from .language_words import of
from .rule import Example
from .samples import SCRIPTS, instance, script

TRACKED = "track_script {\n    check_web\n}"
_MEASURED = ("measured with keepalived 2.2.7",)


def beside(text: str, **files: str) -> Example:
    """An example that includes other files: `part_conf` stands for part.conf."""
    return Example({"": text}, beside={name.replace("_", "."): content for name, content in files.items()})


def shown(text: str) -> Example:
    """An example that is not run: it needs a disk, or would be too large."""
    return Example({"": text}, runs=False)


KA020 = of(
    complaints.STRAY_CLOSE,
    effect="The brace closed a block too early, or is one too many: what should stand inside stands outside, unknown.",
    hint="remove it, or the } too many before it",
    bad=instance() + "}\n",
    good=instance(),
    references=("keepalived issues 2067, 2198",),
)
KA021 = of(
    complaints.UNCLOSED,
    effect="What follows is read as a part of the block: instances and servers are lost.",
    hint="add the missing }",
    bad=instance()[:-2],
    good=instance(),
    references=("keepalived issues 2067, 2198",),
)
KA022 = of(
    complaints.STRAY_OPEN,
    effect="keepalived ignores the brace, and the } that belongs to it closes another block.",
    hint="remove both braces, or write the keyword before them",
    bad="vrrp_instance web {\n    {\n    interface eth0\n    }\n}\n",
    good=instance(),
    references=_MEASURED,
)
KA023 = of(
    complaints.NO_OPEN,
    effect="keepalived's processes disagree about where the block ends: some read what stands in it as unknown "
    "keywords.",
    hint="write { behind the name",
    bad=instance().replace("vrrp_instance web {", "vrrp_instance web"),
    good=instance(),
    references=_MEASURED,
)
KA024 = of(
    complaints.HEADER,
    effect="keepalived ignores the words before the brace.",
    hint="write them inside the braces, one a line",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer 10.0.0.2 {\n    10.0.0.3\n}"),
    good=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n    10.0.0.3\n}"),
    references=_MEASURED,
)
KA030 = of(
    complaints.QUOTE,
    effect="keepalived takes the rest of the line into the word, or drops it.",
    hint='add the missing "',
    bad=instance('notify_master "/etc/keepalived/notify.sh master'),
    good=instance('notify_master "/etc/keepalived/notify.sh master"'),
    references=_MEASURED,
)
KA031 = of(
    complaints.SPLIT,
    effect="keepalived ends the word at the quote: one word becomes two.",
    hint="put the whole word in quotes",
    bad='global_defs {\n    router_id lb"1"\n}\n' + instance(),
    good='global_defs {\n    router_id "lb1"\n}\n' + instance(),
    references=_MEASURED,
)
KA032 = of(
    complaints.GLUED,
    effect="`#` and `!` begin a comment everywhere but in quotes: only the beginning of the word is left.",
    hint='put the word in "quotes", or a blank before the comment',
    bad="global_defs {\n    router_id lb#1\n}\n" + instance(),
    good='global_defs {\n    router_id "lb#1"\n}\n' + instance(),
    references=_MEASURED,
)
KA033 = of(
    complaints.LONG,
    effect="keepalived reads 1,023 bytes at a time: the line falls into pieces, each a statement of its own.",
    hint="write it on several lines, or shorten it",
    bad=Example({"": "global_defs {\n    router_id " + "lb" * 520 + "\n}\n"}),
    good=instance(),
    references=_MEASURED,
)
KA034 = of(
    complaints.BINARY,
    effect="keepalived ignores the rest of the line behind a NUL byte, which no configuration has.",
    hint="remove it, or save the file as UTF-8 (not as UTF-16)",
    bad=instance("priority 150\0"),
    good=instance("priority 150"),
    references=_MEASURED,
)
KA035 = of(
    complaints.BOM_FOUND,
    effect="The invisible mark is a part of the first keyword, which keepalived then does not know: the first block, "
    "an instance perhaps, is lost.",
    hint="save the file as UTF-8 without a byte order mark (BOM)",
    bad="\ufeff" + instance(),
    good=instance(),
    references=_MEASURED,
    replaces=("KA001",),
)
KA036 = of(
    complaints.ODD_BLANK,
    effect="A blank that was copied from a web page (a no-break space, say) is a letter to keepalived: the keyword is "
    "unknown, or the value wrong.",
    hint="type a plain space instead",
    bad=instance("priority\u00a0150"),
    good=instance("priority 150"),
    references=_MEASURED,
    replaces=("KA001", "KA003", "KA006"),
)
KA038 = of(
    complaints.ODD_QUOTE,
    effect="A quote that a word processor made is a letter to keepalived: the value has it in it, and ends at its "
    "first blank.",
    hint='type plain quotes instead, ", or none',
    bad=SCRIPTS + "vrrp_script check_web {\n    script \u201c/usr/local/bin/check_web\u201d\n}\n" + instance(TRACKED),
    good=SCRIPTS + script() + instance(TRACKED),
    references=_MEASURED,
    replaces=("KA004", "KA006"),
)
KA037 = of(
    complaints.CONTINUED,
    effect="Only the lines of a variable can be continued: the backslash becomes a part of the word before it.",
    hint="write the statement on one line",
    bad=instance("notify_master /etc/keepalived/notify.sh\\\n# to master"),
    good=instance("notify_master /etc/keepalived/notify.sh"),
    references=_MEASURED,
)
KA040 = of(
    complaints.NO_MATCH,
    effect="keepalived goes on without a word: all that the file should hold is missing.",
    hint="write the name of a file that exists",
    bad="include /etc/keepalived/no-such-folder/*.conf\n" + instance(),
    good=instance(),
    references=_MEASURED,
)
KA041 = of(
    complaints.LOOP,
    effect="keepalived includes the file again and again until it fails.",
    hint="remove one of the includes",
    bad=beside("include part.conf\n" + instance(), part_conf="include part.conf\n"),
    good=beside("include part.conf\n" + instance(), part_conf="vrrp_version 3\n".replace("vrrp_version 3\n", "")),
    references=_MEASURED,
)
KA042 = of(
    complaints.UNREADABLE,
    effect="keepalived reads no folders, no pipes and no executable files: all that the file should hold is missing.",
    hint="name a regular file, and take its execute permission away (chmod a-x)",
    bad=shown("include /etc/keepalived/conf.d\n" + instance()),
    good=beside("include conf.d/web.conf\n", **{"conf.d/web_conf": instance()}),
    references=_MEASURED,
)
KA043 = of(
    complaints.TOO_LARGE,
    effect="Holdfast reads 50 MiB (52,428,800 bytes), 2.5 million lines, a million statements and 10,000 includes; the "
    "rest was not judged.",
    hint="is this a keepalived.conf? Split it if it is",
    bad=shown("# more than 50 MiB of this\n"),
    good=instance(),
    references=("docs/decisions: keepalived.conf as a language",),
)
KA044 = of(
    complaints.NOT_FOLLOWED,
    effect="What stands in the included file was not judged.",
    hint="check the file where its includes are",
    bad=shown("include /etc/keepalived/conf.d/*.conf\n"),
    good=instance(),
    references=("docs/decisions: keepalived.conf as a language",),
)
KA050 = of(
    complaints.UNDEFINED,
    effect="keepalived leaves the name as it stands, and takes its braces for those of a block.",
    hint="define the variable above, `$NAME=value`, or correct its name; letter case counts",
    bad="$PRIO=150\n" + instance("priority ${PRIORITY}"),
    good="$PRIO=150\n" + instance("priority ${PRIO}"),
    references=_MEASURED,
)
KA051 = of(
    complaints.SEQUENCE,
    effect="keepalived makes no lines of it.",
    hint="write ~SEQ(NAME, START, STEP, END) or ~LST(NAME, VALUE, VALUE …)",
    bad="~SEQ(N, 1, 0, 5) vrrp_script check_$N {\n" + instance(),
    good=instance("virtual_ipaddress {\n    ~SEQ(N, 1, 5) 10.0.0.10${N}/24\n}"),
    references=_MEASURED,
)
KA052 = of(
    complaints.EXPLOSION,
    effect="The lines grow without an end: keepalived never finishes reading, or runs out of memory.",
    hint="does a variable contain itself?",
    bad="$A=${A}x\n" + instance("notify_master ${A}"),
    good="$A=/etc/keepalived/notify.sh\n" + instance("notify_master ${A}"),
    references=_MEASURED,
)
KA053 = of(
    complaints.RANDOM,
    effect="${_RANDOM} has another value at each start, so that peers differ, and so does a node from itself.",
    hint="write a number; this keyword is for tests",
    bad=instance("priority ${_RANDOM 100 150}"),
    good=instance("priority 150"),
    references=("man keepalived.conf: _RANDOM",),
)
KA054 = of(
    complaints.CONDITION,
    effect="keepalived ignores the line; one for all hosts but one (`@^`) that names none it reads everywhere.",
    hint="write the host right behind the @, and what is for it behind that, on the same line",
    bad=instance("@lb1\npriority 150"),
    good=instance("@lb1 priority 150\n@^lb1 priority 100"),
    references=("man keepalived.conf: conditional configuration",),
)
KA055 = of(
    complaints.UNENDED,
    effect="keepalived names the line before in what it says of the last one: somebody will look in the wrong place.",
    hint="end the last line of the file",
    bad=instance() + "}",
    good=instance(),
    references=_MEASURED,
)
KA056 = of(
    complaints.MISCOUNTED,
    effect="keepalived names another line in what it says of one: somebody will look in the wrong place.",
    hint="remove the NUL bytes, and write what is too long on several lines",
    bad=Example({"": "! a\0b\n! what stands behind it\nbogus\n" + instance()}),
    good=instance(),
    references=_MEASURED,
)
KA057 = of(
    complaints.SPILLED,
    effect="The line is not read where it stands: it comes wherever the variable is used, and nowhere if it is not. "
    "Behind an include within a variable it is the other way round.",
    hint="end a file with an empty line where its last variable has several, and include nothing within a variable",
    bad=beside("include part.conf\n" + instance(), part_conf="$BASE= \\\n    $NET=10.0.0 \\\n"),
    good=beside("include part.conf\n\n" + instance(), part_conf="$BASE= \\\n    $NET=10.0.0\n\n"),
    references=_MEASURED,
)
KA058 = of(
    complaints.TEMPLATE,
    effect="keepalived takes a placeholder for a value, and its braces for those of a block: from the first one on it "
    "reads something else than what is meant.",
    hint="lint what the template renders to",
    bad=instance("priority {{ priority }}"),
    good=instance("priority 150"),
    references=_MEASURED,
)
KA060 = of(
    complaints.MORE,
    effect="There are more than 20,000 complaints; the rest was not kept.",
    hint="is this a keepalived.conf?",
    bad=shown("no configuration has so many complaints\n"),
    good=instance(),
    references=("docs/decisions: keepalived.conf as a language",),
)
