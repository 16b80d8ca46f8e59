"""keepalived.conf as a language: read it as keepalived does, judge it, print it, lay it out.

Two views of one text:

- what stands there: `lexer.lex(text)` gives tokens that lose nothing.
- what keepalived understands: `parse.parse(text, name, files=…, config_id=…, version=…)`, or `parse.load(path)` for a
  file and its includes, gives a `tree.Configuration`: `root` (a `Node`; `root.children` are the top blocks), `findings`
  (codes KA…, see `complaints.CODES`), `sources` (every file read), `conditions` (the hosts that `@host` lines name:
  parse once for each to see all), `complete` (False where an include was not followed).

A `Node` is one statement or block: `words` (without quotes), `name`, `args`, `arg(0)`, `children`; `get(name)` is the
child that counts where a keyword stands twice, `value(name)` its first argument, `all(*names)` each of them,
`listed(*names)` the lines of listing blocks such as virtual_ipaddress, `walk()` everything below. Its place is
`location(word)` and `span(word)`; where a variable, ~SEQ or ~LST made it, that is where they were used, and
`origin.location` is where the text itself stands. `keyword` is its row of the tables (`keywords.tables()`).

Nothing here raises on any input, and all of it is bounded in time and memory.
"""
