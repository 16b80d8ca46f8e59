"""What will go wrong with a configuration, told before it runs: rules as data, over keepalived.conf and across nodes.

`engine.read(path)` gives a `Subject`, `engine.examine(subjects, …)` what the rules say of them; see `rule` for how a
rule is written, and `registry` for where it is listed.
"""
