"""What the language's reader finds about words: keywords, their arguments, and blocks that lack some."""

from __future__ import annotations

from holdfast.keepalived import complaints
from holdfast.keepalived.complaints import Code

from .rule import Example, LanguageRule, language_rule
from .samples import SCRIPTS, instance, script, virtual

_MAN = ("man keepalived.conf",)


def of(
    code: Code,
    *,
    effect: str,
    hint: str,
    bad: str | Example,
    good: str | Example,
    references: tuple[str, ...] = _MAN,
    replaces: tuple[str, ...] = (),
) -> LanguageRule:
    """A rule of one of the language's own codes."""
    return language_rule(
        code.code,
        code.severity,
        code.title,
        effect=effect,
        hint=hint,
        bad=bad,
        good=good,
        references=references,
        replaces=replaces,
    )


KA001 = of(
    complaints.UNKNOWN,
    effect="keepalived ignores the line; an unknown block ends the block around it, and what follows stands outside.",
    hint="correct the word, or remove the line",
    bad=instance("prioriti 150"),
    good=instance("priority 150"),
    references=(*_MAN, "keepalived issues 341, 535, 2108"),
)
KA002 = of(
    complaints.WRONG_PLACE,
    effect="keepalived ignores the line; that of a block ends the block around it. Often a brace is missing before it.",
    hint="move it to the block that it belongs to",
    bad=instance("delay_loop 6"),
    good=virtual("delay_loop 6"),
)
KA003 = of(
    complaints.MISSING,
    effect="keepalived stops reading the configuration there: all that follows is lost.",
    hint="write what the keyword needs behind it",
    bad=instance("advert_int"),
    good=instance("advert_int 1"),
)
KA004 = of(
    complaints.TOO_MANY,
    effect="keepalived ignores the words: what was meant by them does not happen.",
    hint="remove them, or write them on a line of their own",
    bad=instance("advert_int 1 second"),
    good=instance("advert_int 1"),
)
KA005 = of(
    complaints.SWALLOWED,
    effect="keepalived reads one keyword a line: the second one has no effect. An authentication block on one line "
    "loses its password.",
    hint="write each keyword on a line of its own",
    bad=instance("authentication { auth_type PASS auth_pass s3cret }"),
    good=instance("authentication {\n    auth_type PASS\n    auth_pass s3cret\n}"),
)
KA006 = of(
    complaints.INVALID,
    effect="keepalived ignores the value and takes its default, or leaves the line out.",
    hint="write a value of the right kind; words in capitals are meant so",
    bad=instance("state master"),
    good=instance("state MASTER"),
)
KA007 = of(
    complaints.RANGE,
    effect="keepalived ignores the value and takes its default.",
    hint="write a number of the range",
    bad=instance("priority 300"),
    good=instance("priority 250"),
)
KA008 = of(
    complaints.REPEATED,
    effect="Only one of the two counts: for most keywords the last, for scripts and a few others the first.",
    hint="remove one of the two",
    bad=instance("priority 100\npriority 150"),
    good=instance("priority 150"),
)
KA009 = of(
    complaints.TWICE,
    effect="keepalived leaves the second block out: nothing in it counts, and addresses of an instance are on no node.",
    hint="give it another name, or remove one of the two",
    bad=instance() + instance(vrid=52, address="10.0.0.101/24"),
    good=instance() + instance(vrid=52, address="10.0.0.101/24", name="mail"),
)
KA010 = of(
    complaints.DEPRECATED,
    effect="It still works, with a complaint in the log; a later release may not know it.",
    hint="write what replaces it",
    bad=virtual(real="HTTP_GET {\n    url {\n        path /\n    }\n    nb_get_retry 3\n}"),
    good=virtual(real="HTTP_GET {\n    url {\n        path /\n    }\n    retry 3\n}"),
)
KA011 = of(
    complaints.TOO_NEW,
    effect="The release that is checked for does not know the keyword, and ignores it.",
    hint="update keepalived on all nodes first, or remove the keyword",
    bad=instance("timer_expired_backup 1"),
    good=instance(),
)
KA012 = of(
    complaints.NEEDED,
    effect="keepalived leaves the whole block out: nothing is run, watched or checked.",
    hint="add what is missing",
    bad=SCRIPTS + "vrrp_script check_web {\n    interval 2\n}\n",
    good=SCRIPTS + script() + instance("track_script {\n    check_web\n}"),
)
KA013 = of(
    complaints.NOTHING,
    effect="The block does nothing, and keepalived complains about it.",
    hint="fill it, or remove it",
    bad="global_defs {\n    notification_email {\n    }\n}\n" + instance(),
    good=instance(),
)
KA014 = of(
    complaints.FAMILY,
    effect="keepalived leaves the server out: only a tunnel carries one family over the other.",
    hint="use servers of the virtual server's family, or `lvs_method TUN`",
    bad=virtual(server="fd00::11 80"),
    good=virtual(server="10.0.0.11 80"),
    references=(*_MAN, "man ipvsadm: --ipip"),
)
KA015 = of(
    complaints.NOT_BUILT,
    effect="Where keepalived was built without the library, as Debian's is, the keyword is unknown.",
    hint="remove it, or check `keepalived --version` on every node",
    bad="global_defs {\n    vrrp_ipsets\n}\n" + instance(),
    good=instance(),
)
