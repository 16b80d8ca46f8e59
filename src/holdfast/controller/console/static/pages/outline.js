// Where one is in a spec that is being written: a small reader of YAML that takes unfinished texts, and keeps what it has
// read. A text is pieces of lines, each with how it begins; a change has only the pieces read again that it touches, and
// those below it as far as they begin otherwise than before. So a key costs as much in a megabyte as in a page.
"use strict";
(() => {
  const PIECE = 4000; // characters, at the least
  const LONGEST_FLOW = 5000; // characters behind the cursor in which the end of its braces is looked for
  const LONGEST_KEY = 300; // characters of a line in which a key is looked for: the pattern takes time with their square
  const DEEPEST_NAME = 4; // a path of more parts names nothing that is referred to
  const KEY = /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s:,[\]{}#&*!|>'"%@`][^:#]*?(?::(?=\S)[^:#]*?)*?))\s*:(?=\s|$)/;
  const named = (match) => match.slice(1).find((one) => one !== undefined);
  const key_in = (text, column) => KEY.exec(text.slice(column, column + LONGEST_KEY));
  const way = (entries) => entries.map((one) => one.kind === "map" ? one.key : "[]");
  const START = {block: [], flow: [], quote: "", literal: -1};
  // Where the braces that are open begin is counted from where the state is, so that it may move with its text.
  const moved = ({block, flow, quote, literal}, by) => ({
    block: block.map((one) => ({...one})), quote, literal,
    flow: flow.map((one) => ({...one, start: one.start + by, ...(one.keys ? {keys: [...one.keys]} : {})})),
  });
  const alike = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  // Reads lines of `source`, which the state `before` leads to, telling every key with the way to it.
  const reader = (source, before, on_key = () => {}) => {
    const {block, flow} = before;
    let {quote, literal} = before;
    const here = () => [...way(block), ...way(flow)];
    const told = () => { if (block.length + flow.length <= DEEPEST_NAME) on_key(here()); };
    const scan = (from, to) => { // inside braces and brackets
      for (let at = from; at < to; at += 1) {
        const sign = source[at], top = flow[flow.length - 1];
        if (quote) {
          if (sign === "\\" && quote === '"') at += 1;
          else if (sign === quote) quote = "";
        } else if ((sign === '"' || sign === "'") && /[\s,:[{]/.test(source[at - 1] || " ")) quote = sign;
        else if (sign === "#" && /\s/.test(source[at - 1] || " ")) return true;
        else if (sign === "{") flow.push({kind: "map", key: null, keys: [], start: at + 1});
        else if (sign === "[") flow.push({kind: "list", start: at + 1});
        else if (sign === "}" || sign === "]") { flow.pop(); if (!flow.length) return false; }
        else if (top && sign === ",") { top.start = at + 1; if (top.kind === "map") top.key = null; }
        else if (top && sign === ":" && top.kind === "map" && top.key === null && /^[\s"'[{]?$/.test(source[at + 1] || "")) {
          top.key = source.slice(top.start, at).trim().replace(/^["']|["']$/g, "");
          top.keys.push(top.key);
          top.start = at + 1;
          told();
        }
      }
      return false;
    };
    const value = (from, to, indent) => { // what stands behind a key, or a dash; true: a comment
      const start = source.slice(from, to).search(/\S/);
      if (start < 0) return false;
      const sign = source[from + start];
      if (sign === "|" || sign === ">") literal = indent;
      if (sign === "#") return true;
      if (sign === "{" || sign === "[") return scan(from + start, to);
      return / #/.test(source.slice(from, to).replace(/"[^"]*"|'[^']*'/g, ""));
    };
    const tidy = (at) => {
      for (let top; (top = block[block.length - 1]) && (top.indent > at || (top.kind === "list" && top.indent >= at));) block.pop();
    };
    const dashes = (raw, indent) => { // where what is behind them begins
      let at = indent;
      while (raw[at] === "-" && /^\s?$/.test(raw[at + 1] || "")) {
        for (let top; (top = block[block.length - 1]) && top.indent > at;) block.pop();
        const top = block[block.length - 1];
        if (!(top && top.kind === "list" && top.indent === at)) block.push({kind: "list", indent: at});
        at += 1;
        while (raw[at] === " ") at += 1;
      }
      return at;
    };
    const enter = (key, at) => {
      tidy(at);
      let top = block[block.length - 1];
      if (!top || top.kind !== "map" || top.indent !== at) block.push(top = {kind: "map", indent: at, key: null});
      top.key = key;
      told();
    };
    const line = (from, to) => { // the whole of it
      if (flow.length || quote) { scan(from, to); return; }
      const raw = source.slice(from, to), indent = raw.search(/\S|$/), blank = indent === raw.length;
      if (literal >= 0 && (blank || indent > literal)) return;
      literal = -1;
      if (blank || raw[indent] === "#") return;
      const at = dashes(raw, indent), match = key_in(raw, at);
      if (!match) { value(from + at, to, indent); return; }
      enter(named(match), at);
      value(from + at + match[0].length, to, at);
    };
    const in_flow = (upto) => {
      const top = flow[flow.length - 1], written = source.slice(top.start, upto).trimStart(), open = /^["']/.test(written) ? 1 : 0;
      const kind = top.kind === "map" && top.key === null ? "key" : "value";
      const path = kind === "key" ? [...way(block), ...way(flow.slice(0, -1))] : here();
      return {path, kind, from: upto - written.length + open, keys: top.keys || [], flow: true, indent: 0};
    };
    const asked = (from, upto) => { // what may be written at `upto`, in the line that begins at `from`
      if (flow.length || quote) return scan(from, upto) || !flow.length ? null : in_flow(upto);
      const raw = source.slice(from, upto), indent = raw.search(/\S|$/);
      if (literal >= 0 && (indent === raw.length || indent > literal)) return null;
      literal = -1;
      if (raw[indent] === "#") return null;
      const at = dashes(raw, indent), match = key_in(raw, at);
      return match ? behind_key(from + at + match[0].length, upto, named(match), at) : beside(from + at, upto, at);
    };
    const behind_key = (begin, upto, key, at) => {
      enter(key, at);
      const comment = value(begin, upto, at), said = source.slice(begin, upto);
      if (comment || literal >= 0 || begin === upto) return null;
      if (flow.length) return in_flow(upto);
      if (/[}\]]\s*$/.test(said) && /^\s*[{[]/.test(said)) return null;
      const written = said.trimStart(), open = /^["']/.test(written) ? 1 : 0;
      return {path: here(), kind: "value", from: upto - written.length + open, keys: [], flow: false, indent: at};
    };
    const beside = (begin, upto, at) => {
      const rest = source.slice(begin, upto);
      if (/\s#/.test(rest) || /^[{[]/.test(rest)) { scan(begin, upto); return flow.length ? in_flow(upto) : null; }
      tidy(at);
      const top = block[block.length - 1], same = Boolean(top && top.kind === "map" && top.indent === at);
      if (top && !same && top.kind === "map" && top.indent > at) return null;
      return {path: way(same ? block.slice(0, -1) : block), kind: same ? "key" : "either", from: begin, keys: [], flow: false, indent: at};
    };
    return {line, asked, state: () => ({block, flow, quote, literal})};
  };

  // Of a text of CodeMirror's. `changed` is to be told of every change; `read` says whether all is read up to a place.
  window.Outline = (first) => {
    let doc = first, pieces = [{length: doc.length, before: START, names: null}], known = null; // names: null where it has to be read
    const named_in = (names) => ([part, name, field, inner]) => {
      if (name !== undefined && field === undefined) names.push([part, name]);
      if (inner !== undefined && part === "vrrp" && field === "addresses") names.push(["addresses", `${name}.${inner}`]);
    };
    const opened = (before, from, to, on_key) => { // a reader of what stands there, and of where open braces began
      const base = Math.min(from, ...before.flow.map((one) => from + one.start));
      return {base, source: doc.sliceString(base, to), reading: (source) => reader(source, moved(before, from - base), on_key)};
    };
    const cut = (from, to) => { // where the piece ends that begins at `from`; no small one is left over
      if (to - from < 1.5 * PIECE) return to;
      const end = doc.lineAt(from + PIECE).to + 1;
      return to - end < PIECE / 2 ? to : end;
    };
    const piece_read = ({before, length}, from) => { // as a piece that is read, and what is left of it
      const names = [], to = cut(from, from + length), {base, source, reading} = opened(before, from, to, named_in(names));
      const {line, state} = reading(source), end = to - base;
      for (let at = from - base; at < end;) {
        const stop = source.indexOf("\n", at), line_end = stop < 0 ? end : stop;
        line(at, line_end);
        at = line_end + 1;
      }
      return [{length: to - from, before, names}, {length: length - (to - from), before: moved(state(), -end), names: null}];
    };
    // Until `upto` and where `keys_behind` may look, or for so many milliseconds; whether it is all read.
    const read = (upto, within_ms) => {
      const until = performance.now() + within_ms, most = upto + LONGEST_FLOW;
      for (let number = 0, from = 0; number < pieces.length && from <= most; from += pieces[number].length, number += 1) {
        if (pieces[number].names) continue;
        if (performance.now() > until) return false;
        const [done, rest] = piece_read(pieces[number], from), next = pieces[number + 1];
        known = null;
        pieces.splice(number, 1, done);
        if (rest.length) pieces.splice(number + 1, 0, rest);
        else if (next && !alike(next.before, rest.before)) pieces[number + 1] = {...next, before: rest.before, names: null};
      }
      return true;
    };
    const changed = (changes, now) => {
      const ranges = [];
      changes.iterChangedRanges((from, to, from_now, to_now) => ranges.unshift({from, to, more: to_now - from_now - (to - from)}));
      for (const {from, to, more} of ranges) { // from the last to the first: places before a change stay where they are
        let start = 0, first_of = -1, length = 0, many = 0;
        for (const [number, one] of pieces.entries()) {
          if (start <= to && start + one.length >= from) {
            if (first_of < 0) first_of = number;
            length += one.length;
            many += 1;
          }
          start += one.length;
        }
        pieces.splice(first_of, many, {length: length + more, before: pieces[first_of].before, names: null});
      }
      doc = now;
      known = null;
    };
    // Of what is read: what may be written at `upto`, by the way there; null where nothing is known of it.
    const place = (upto) => {
      const {from: line_from, to: line_to} = doc.lineAt(upto);
      let from = 0, number = 0;
      while (number < pieces.length - 1 && from + pieces[number].length <= line_from) { from += pieces[number].length; number += 1; }
      const {base, source, reading} = opened(pieces[number].before, from, line_to), {line, asked} = reading(source);
      for (let at = from - base; at < line_from - base;) {
        const to = source.indexOf("\n", at);
        line(at, to);
        at = to + 1;
      }
      const found = asked(line_from - base, upto - base);
      return found && {...found, from: found.from + base};
    };
    const names = () => { // what the spec defines, by its part
      if (known) return known;
      known = new Map();
      for (const one of pieces) for (const [part, name] of one.names || []) known.set(part, (known.get(part) || new Set()).add(name));
      return known;
    };
    const keys_behind = (upto) => { // within the same braces
      const source = doc.sliceString(upto, upto + LONGEST_FLOW);
      let depth = 0, at = 0;
      for (; at < source.length && depth >= 0; at += 1) {
        if ("[{".includes(source[at])) depth += 1;
        else if ("]}".includes(source[at])) depth -= 1;
      }
      const end = depth < 0 ? place(upto + at - 1) : null;
      return end && end.flow ? end.keys : [];
    };
    const keys_around = (upto, indent, above) => { // of the same block: below, and above if it has begun there
      const found = [], {number: own} = doc.lineAt(upto);
      for (const step of above ? [-1, 1] : [1]) {
        for (let number = own + step; number >= 1 && number <= doc.lines; number += step) {
          const {text} = doc.line(number), column = text.search(/\S|$/);
          if (column === text.length || column > indent || text[column] === "#") continue;
          const begins = step < 0 && /^[\s-]*$/.test(text.slice(0, indent)); // behind the dash of an entry
          const match = (column === indent || begins) && key_in(text, indent);
          if (match) found.push(named(match));
          if (column < indent) break;
        }
      }
      return found;
    };
    return {changed, read, place, names, keys_behind, keys_around};
  };
})();
