// The editor of the spec: CodeMirror around its text, what the controller says of it, completion, and the draft.
// On a narrow screen, and without CodeMirror, the plain text box stays, with the same findings below it.
"use strict";
(() => {
  const form = document.getElementById("editor-form");
  if (!form) return;
  const CHECK_MS = 700, SETTLE_MS = 300, AGAIN_MS = 5000, MOST_LISTED = 100, LONGEST_DRAFT = 2000000, DRAFT_DAYS = 14;
  const SLICE_MS = 6; // for which the text is read before a key gets its turn
  const {words, titles, language, lint, fresh, draft, longest} = JSON.parse(form.dataset.settings);
  const say = (word, n) => words[word].replace("{n}", n);
  const figure = (n) => n.toLocaleString(document.documentElement.lang);
  const find = (id) => document.getElementById(id);
  const area = find("spec-text"), host = find("spec-code"), plan = find("plan"), base = form.elements.base;
  const state = find("check-state"), list = find("check-list"), kept = find("draft-state");
  const csrf = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  const element = (name, kind, content = "") => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (content) made.textContent = content;
    return made;
  };

  // ---- the text, wherever it is written --------------------------------------------------------------------------------
  let view = null, first = area.value, first_base = Number(base.value), planned = null, applying = false, settling = 0;
  const text = () => view ? view.state.doc.toString() : area.value;
  const put = (next) => { // as an event of its own: what was typed in the half second before is undone apart from it
    if (view) view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: next}, userEvent: "set", scrollIntoView: true});
    else { area.value = next; changed(); }
  };
  const focus = () => (view || area).focus();
  const changed = () => {
    clearTimeout(settling);
    settling = setTimeout(settled, SETTLE_MS);
    check_soon(CHECK_MS);
  };
  const settled = () => { settling = null; save(); mark_plan(); };
  addEventListener("pagehide", () => { if (settling) { clearTimeout(settling); settled(); } }); // the last words, too
  area.addEventListener("input", changed);

  // ---- what the controller says of it ----------------------------------------------------------------------------------
  let timer = 0, running = null;
  const check_soon = (after) => { clearTimeout(timer); timer = setTimeout(check, after); };
  const show_state = (dot, word) => {
    const mark = element("span", `dot dot-${dot}`);
    mark.setAttribute("aria-hidden", "true");
    state.replaceChildren(mark, element("span", "", word));
  };
  const lasting = (status) => status >= 400 && status < 500 && ![408, 409, 429].includes(status); // asking again is no use
  const check = async () => {
    if (running) running.abort();
    const mine = running = new AbortController(), sent = text();
    if (sent.length > longest) return show_state("bad", say("A spec has {n} characters at most. This one is longer: it cannot be applied.", figure(longest)));
    show_state("busy", say("Being checked…"));
    try {
      const headers = {accept: "application/json", ...csrf}, body = new URLSearchParams({spec: sent});
      const answer = await fetch(lint, {method: "POST", headers, body, signal: mine.signal});
      if (mine !== running) return;
      if (answer.status === 401) return show_state("bad", say("You are not logged in any more: the draft stays in this browser."));
      if (!answer.ok && !lasting(answer.status)) throw new Error(String(answer.status));
      const told = await answer.json();
      if (!answer.ok) { if (mine === running) show_state("unknown", told.error.message); return; }
      if (mine === running && text() === sent) show_findings(told, sent);
    } catch {
      if (mine !== running) return;
      show_state("unknown", say("The spec could not be checked; tried again soon."));
      check_soon(AGAIN_MS);
    }
  };
  const count = (found, one, many) => found.length === 1 ? say(one) : say(many, found.length);
  const show_findings = (told, sent) => {
    const found = told.findings, errors = found.filter((one) => one.severity === "error");
    const others = found.filter((one) => one.severity !== "error"), said = [];
    if (errors.length) said.push(count(errors, "1 mistake", "{n} mistakes"));
    if (others.length) said.push(count(others, "1 remark", "{n} remarks"));
    if (!told.complete) show_state("unknown", say("Too large to be checked while it is written: look at what it would do."));
    else if (!found.length) show_state("ok", say("Nothing to find fault with"));
    else show_state(errors.length ? "bad" : "warning", said.join(" · "));
    const lines = lines_of(sent), shown = [...errors, ...others].slice(0, MOST_LISTED);
    list.replaceChildren(...shown.map((one) => listed(one, lines)));
    const left = found.length - shown.length + told.left_out;
    if (left) list.append(element("li", "editor-finding muted", say("and {n} more", left)));
    if (view) view.dispatch(CodeMirror.setDiagnostics(view.state, found.map((one) => diagnostic(one, lines))));
  };
  // What is between backticks is to be typed.
  const coded = (made, text) => {
    const pieces = text.split("`");
    if (pieces.length % 2) made.append(...pieces.map((one, n) => n % 2 ? element("code", "", one) : one));
    else made.append(text); // one of them has no partner: it is a letter
    return made;
  };
  // A message that is not said in the page's language comes behind what its rule is about, which is.
  const told = (one, name) => {
    const title = one.foreign && titles[one.code], message = coded(element("span", title ? `${name} original` : name, ""), one.message);
    if (!title) return [message];
    message.lang = "en";
    return [element("strong", name, title), message];
  };
  const hinted = (one, kind, name, text) => {
    const made = coded(element(kind, name, ""), text);
    if (one.foreign) made.lang = "en";
    return made;
  };
  const listed = (one, lines) => {
    const item = element("li"), jump = element("button", `editor-finding editor-finding-${one.severity}`);
    jump.type = "button";
    jump.append(
      element("span", "editor-finding-line", one.location ? say("line {n}", one.location.line) : ""),
      element("span", "finding-code mono", one.code), ...told(one, "editor-finding-text"),
    );
    if (one.hint) jump.append(hinted(one, "span", "editor-finding-hint", one.hint));
    jump.addEventListener("click", () => go_to(range(one, lines)));
    item.append(jump);
    return item;
  };
  const lines_of = (sent) => { // each with the place where it begins
    let start = 0;
    return sent.split("\n").map((line) => { const one = {start, line}; start += line.length + 1; return one; });
  };
  // Lines and columns count characters from 1; a browser counts half pairs.
  const range = (one, lines) => {
    const {line: number, column} = one.location || {line: 1, column: 1}, {start, line} = lines[Math.min(number, lines.length) - 1];
    const before = Array.from(line).slice(0, column - 1).join("").length, rest = line.slice(before);
    const word = /^(?:"[^"]*"|'[^']*'|[^\s,\]}]+)/.exec(rest), length = word ? word[0].length : rest.length;
    return {from: start + before, to: start + before + length};
  };
  const go_to = ({from, to}) => {
    if (view) view.dispatch({selection: {anchor: from, head: to}, effects: CodeMirror.EditorView.scrollIntoView(from, {y: "center"})});
    else area.setSelectionRange(from, to);
    focus();
  };
  const diagnostic = (one, lines) => ({
    ...range(one, lines), severity: one.severity, source: one.code, message: `${one.code}: ${one.foreign && titles[one.code] || ""} ${one.message} ${one.hint}`,
    renderMessage: () => {
      const made = element("div");
      made.append(element("strong", "", one.code), " ", ...told(one, "cm-told"));
      if (one.hint) made.append(hinted(one, "div", "cm-hint", `→ ${one.hint}`));
      return made;
    },
  });

  // ---- completion ------------------------------------------------------------------------------------------------------
  let spoken = null, outline = null;
  const learn = async () => {
    const answer = await fetch(language);
    if (answer.ok) spoken = await answer.json();
  };
  const later = () => new Promise((go_on) => setTimeout(go_on));
  const read = async (upto, given_up) => { // so that no key has to wait for it
    while (!outline.read(upto, SLICE_MS)) {
      await later();
      if (given_up()) return false;
    }
    return true;
  };
  const whole = (node) => { // a part of the schema with all that it may be
    const found = [], seen = new Set(), open = [node];
    while (open.length) {
      const one = open.pop();
      if (!one || seen.has(one)) continue;
      seen.add(one);
      if (one.$ref) open.push(spoken.schema.$defs[one.$ref.replace("#/$defs/", "")]);
      if (one.anyOf) open.push(...one.anyOf);
      found.push(one);
    }
    return found;
  };
  const below = (nodes, part) => nodes.flatMap(whole).flatMap((node) => {
    if (part === "[]") return node.items ? [node.items] : [];
    if (node.properties && Object.hasOwn(node.properties, part)) return [node.properties[part]];
    return Object.entries(node.patternProperties || {}).filter(([each]) => new RegExp(each).test(part)).map(([, one]) => one);
  });
  const meant = (path) => {
    const fits = (pattern) => {
      const parts = pattern.split(".");
      return parts.length === path.length && parts.every((part, at) => part === path[at] || (part === "*" && path[at] !== "[]" && path[at] !== "@"));
    };
    return spoken.names.filter(([pattern]) => fits(pattern)).map(([, what]) => what);
  };
  const named_options = (path) => meant(path).flatMap((what) => {
    const names = outline.names(), of = (part) => [...(names.get(part) || [])];
    const found = what === "server" ? of("nodes").map((one) => `${one}:`)
      : what === "group" ? [...of("vrrp"), ...of("addresses")].map((one) => `${one}:`) : of(what);
    return found.map((label) => ({label, type: "variable", detail: say("defined in this spec"), boost: 5}));
  });
  const shapes = (node) => {
    const kinds = new Set();
    for (const one of whole(node)) {
      if (one.items) kinds.add("list");
      if (one.properties || one.patternProperties) kinds.add("block");
      if (one.enum || one.const !== undefined || ["string", "integer", "number", "boolean"].includes(one.type)) kinds.add("plain");
    }
    return kinds;
  };
  const told_type = (node) => {
    const parts = whole(node), choices = [...new Set(parts.flatMap((one) => one.enum || []))];
    if (choices.length) return choices.join(" | ").slice(0, 60);
    const said = new Set();
    for (const one of parts) {
      if (one.type === "boolean") said.add(say("yes or no"));
      else if (one.type === "integer" || one.type === "number") said.add(say("number"));
      else if (one.items) said.add(say("list"));
      else if (one.properties || one.patternProperties) said.add(say("block"));
      else if (one.type === "string") said.add(say("text"));
    }
    return [...said].join(" | ");
  };
  const explained = (node, required) => {
    const about = node.description || whole(node).map((one) => one.description).find(Boolean) || "";
    const preset = node.default, examples = [...new Set(whole(node).flatMap((one) => one.examples || []))].slice(0, 4);
    if (!about && preset === undefined && !examples.length && !required) return undefined;
    return () => {
      const made = element("div");
      if (about) made.append(element("div", "", about.replaceAll("`", "")));
      if (required) made.append(element("div", "cm-note", say("must be given")));
      if (preset !== undefined) made.append(element("div", "cm-note", `${say("Default:")} ${preset}`));
      if (examples.length) made.append(element("div", "cm-note", `${say("for example")} ${examples.join(", ")}`));
      return made;
    };
  };
  const insert_key = (label, node, where) => (target, completion, from, to) => {
    const after = target.state.sliceDoc(to, to + 1), kinds = shapes(node), inner = `\n${" ".repeat(where.indent + 2)}`;
    let made = `${label}: `, cursor = made.length;
    if (after === ":") { made = label; cursor = made.length + 1; }
    else if (!kinds.has("plain") && where.flow) { made = `${label}: ${kinds.has("list") ? "[]" : "{}"}`; cursor = made.length - 1; }
    else if (!kinds.has("plain") && kinds.size === 1) { made = `${label}:${inner}${kinds.has("list") ? "- " : ""}`; cursor = made.length; }
    target.dispatch({changes: {from, to, insert: made}, selection: {anchor: from + cursor}, userEvent: "input.complete"});
    if (after !== ":") setTimeout(() => CodeMirror.startCompletion(target), 0);
  };
  const key_options = (where, upto) => {
    const parts = below_all(where.path).flatMap(whole), names = named_options([...where.path, "@"]);
    if (!names.length && !parts.some((one) => one.properties)) return []; // nothing is known of what may stand here
    const around = where.flow ? outline.keys_behind(upto) : outline.keys_around(upto, where.indent, where.kind === "key");
    const there = new Set([...where.keys, ...around]), found = new Map();
    for (const part of parts) {
      for (const [label, node] of Object.entries(part.properties || {})) {
        if (there.has(label) || found.has(label)) continue;
        const required = (part.required || []).includes(label);
        found.set(label, {
          label, type: "property", detail: told_type(node), info: explained(node, required), boost: required ? 20 : 0,
          apply: insert_key(label, node, where),
        });
      }
    }
    const others = names.filter((one) => !there.has(one.label));
    return [...found.values(), ...others.map((one) => ({...one, apply: `${one.label}: `}))];
  };
  const below_all = (path) => path.reduce(below, [spoken.schema]);
  const value_options = (where) => {
    const found = new Map(), nodes = below_all(where.path);
    const preset = nodes.map((one) => one.default).find((one) => one !== undefined);
    const add = (label, more) => { if (!found.has(label)) found.set(label, {label, type: "constant", ...(label === preset ? {detail: say("Default:").replace(/[:：]$/, "")} : {}), ...more}); };
    for (const node of nodes.flatMap(whole)) {
      for (const one of node.enum || []) add(String(one));
      if (node.const !== undefined) add(String(node.const));
      else if (node.type === "boolean") { add("true"); add("false"); }
      for (const one of node.examples || []) add(String(one), {type: "text", detail: say("for example"), boost: -5});
    }
    return [...named_options(where.path), ...found.values()];
  };
  const complete = async (context) => {
    if (!spoken) return null;
    const {pos} = context, all = context.state.doc.length, given_up = () => context.aborted;
    context.addEventListener("abort", () => {}, {onDocChange: true}); // what is found of another text is of no use
    if (!await read(pos, given_up)) return null;
    const where = outline.place(pos);
    if (!where || (!context.explicit && where.from === pos && where.kind !== "value")) return null; // nothing typed yet
    const refers = [where.path, [...where.path, "@"]].some((path) => meant(path).length);
    if (refers && !await read(all, given_up)) return null;
    const options = [
      ...(where.kind === "value" ? [] : key_options(where, pos)), ...(where.kind === "key" ? [] : value_options(where)),
    ];
    return options.length ? {from: where.from, options, validFor: /^[\w.:/-]*$/} : null;
  };

  // ---- CodeMirror ------------------------------------------------------------------------------------------------------
  // It lives in a shadow root: there it adopts its styles as sheets, which our policy allows; in the page it would write
  // a style element, which it does not.
  const look = () => CodeMirror.EditorView.theme({
    "&": {height: "100%", fontSize: "13px", backgroundColor: "var(--surface)", color: "var(--text)"},
    "&.cm-focused": {outline: "none"}, // its place in the page shows it, around the gutter, too
    ".cm-line::selection, .cm-line ::selection": {color: "currentColor"}, // a page's own is inherited even in here
    ".cm-lintRange-active": {backgroundColor: "color-mix(in srgb, var(--warning) 22%, transparent)"},
    ".cm-scroller": {fontFamily: "var(--mono)", lineHeight: "20px", overflow: "auto"},
    ".cm-content": {caretColor: "var(--text)"},
    ".cm-cursor": {borderLeftColor: "var(--text)"},
    ".cm-gutters": {backgroundColor: "var(--sunken)", color: "var(--faint)", borderRight: "1px solid var(--line)"},
    ".cm-activeLine": {backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)"},
    ".cm-activeLineGutter": {backgroundColor: "var(--accent-soft)", color: "var(--text)"},
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
      background: "color-mix(in srgb, var(--accent) 28%, transparent)",
    },
    ".cm-selectionMatch": {backgroundColor: "color-mix(in srgb, var(--accent) 14%, transparent)"},
    "&.cm-focused .cm-matchingBracket": {backgroundColor: "var(--ok-soft)", outline: "1px solid var(--ok)"},
    "&.cm-focused .cm-nonmatchingBracket": {backgroundColor: "var(--bad-soft)", outline: "1px solid var(--bad)"},
    ".cm-searchMatch": {backgroundColor: "var(--warning-soft)", outline: "1px solid var(--warning)"},
    ".cm-searchMatch-selected": {backgroundColor: "var(--accent-soft)", outline: "2px solid var(--accent)"},
    ".cm-foldPlaceholder": {backgroundColor: "var(--sunken)", color: "var(--muted)", border: "1px solid var(--line)"},
    ".cm-panels": {backgroundColor: "var(--sunken)", color: "var(--text)", fontFamily: "var(--sans)", fontSize: "13px", zIndex: 1},
    ".cm-panels.cm-panels-top": {borderBottom: "1px solid var(--line)"},
    ".cm-panels.cm-panels-bottom": {borderTop: "1px solid var(--line)"},
    ".cm-panel.cm-search": {padding: "8px 32px 8px 12px"},
    ".cm-panel.cm-search label": {fontSize: "13px"},
    ".cm-panel.cm-search [name=close], .cm-panel.cm-panel-lint [name=close]": {color: "var(--muted)", fontSize: "20px", padding: "0 8px"},
    ".cm-textfield": {backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", fontSize: "13px", padding: "3px 8px"},
    ".cm-button": {backgroundImage: "none", backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", fontSize: "13px", padding: "3px 10px"},
    ".cm-button:active": {backgroundImage: "none", backgroundColor: "var(--sunken)"},
    ":focus-visible:not(.cm-content)": {outline: "2px solid var(--accent)", outlineOffset: "1px"},
    ".cm-tooltip": {backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "6px", boxShadow: "var(--shadow-high)", maxWidth: "560px"},
    ".cm-tooltip-lint": {fontFamily: "var(--sans)"},
    ".cm-diagnostic": {padding: "8px 12px", whiteSpace: "pre-wrap", overflowWrap: "anywhere"},
    ".cm-diagnosticSource": {display: "none"},
    ".cm-diagnostic-error": {borderLeft: "3px solid var(--bad)"},
    ".cm-diagnostic-warning": {borderLeft: "3px solid var(--warning)"},
    ".cm-diagnostic-info": {borderLeft: "3px solid var(--unknown)"},
    ".cm-hint, .cm-note, .cm-completionDetail": {color: "var(--muted)"},
    ".cm-panel.cm-panel-lint ul [aria-selected]": {backgroundColor: "var(--accent-soft)", color: "var(--text)"},
    ".cm-tooltip.cm-tooltip-autocomplete > ul": {fontFamily: "var(--mono)", maxHeight: "260px"},
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li": {padding: "3px 10px", lineHeight: "20px"},
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {backgroundColor: "var(--accent-soft)", color: "var(--text)"},
    ".cm-completionMatchedText": {textDecoration: "none", color: "var(--accent)", fontWeight: "600"},
    ".cm-completionDetail": {fontStyle: "normal", fontFamily: "var(--sans)", marginLeft: "12px"},
    ".cm-completionInfo": {fontFamily: "var(--sans)", fontSize: "13px", lineHeight: "19px", padding: "8px 12px", maxWidth: "360px", whiteSpace: "pre-line"},
    ".cm-specialChar": {color: "var(--bad)"},
  });
  const colours = () => {
    const {tags} = CodeMirror;
    return CodeMirror.syntaxHighlighting(CodeMirror.HighlightStyle.define([
      {tag: [tags.definition(tags.propertyName), tags.propertyName], color: "light-dark(#0b4f94, #8cc4fa)"},
      {tag: [tags.comment, tags.lineComment], color: "var(--faint)", fontStyle: "italic"},
      {tag: [tags.string, tags.special(tags.string)], color: "light-dark(#1a6b35, #7fd79a)"},
      {tag: [tags.labelName, tags.typeName, tags.keyword, tags.meta], color: "light-dark(#7a3b9c, #d3a6ee)"},
      {tag: [tags.separator, tags.punctuation, tags.brace, tags.squareBracket], color: "var(--muted)"},
    ]));
  };
  const build = () => {
    const {EditorState, EditorView, keymap} = CodeMirror;
    const submit = () => { form.requestSubmit(); return true; };
    const state = EditorState.create({doc: area.value, extensions: [
      CodeMirror.lineNumbers(), CodeMirror.foldGutter(), CodeMirror.lintGutter(), CodeMirror.highlightSpecialChars(),
      CodeMirror.history(), CodeMirror.drawSelection(), CodeMirror.indentOnInput(), CodeMirror.bracketMatching(),
      CodeMirror.highlightActiveLine(), CodeMirror.highlightActiveLineGutter(), CodeMirror.highlightSelectionMatches(),
      CodeMirror.indentUnit.of("  "), EditorState.tabSize.of(2), CodeMirror.yaml(), CodeMirror.search({top: true}),
      CodeMirror.autocompletion({override: [complete], icons: false}),
      keymap.of([
        {key: "Mod-Enter", run: submit}, {key: "Mod-s", run: submit, preventDefault: true},
        ...CodeMirror.completionKeymap, ...CodeMirror.searchKeymap, ...CodeMirror.historyKeymap, ...CodeMirror.foldKeymap,
        ...CodeMirror.lintKeymap, ...CodeMirror.defaultKeymap, CodeMirror.indentWithTab,
      ]),
      EditorState.phrases.of(words), EditorView.contentAttributes.of({"aria-label": say("The spec"), tabindex: "0"}),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        outline.changed(update.changes, update.state.doc);
        changed();
      }), look(), colours(),
    ]});
    area.hidden = true;
    host.hidden = false;
    outline = window.Outline(state.doc);
    view = new EditorView({state, parent: host.attachShadow({mode: "open"})});
    learn();
    setTimeout(() => read(state.doc.length, () => false), SETTLE_MS); // once, before somebody types
  };

  // ---- the draft: a spec holds no secret, only their names -------------------------------------------------------------
  let undecided = null;
  const stored = () => {
    try {
      const found = JSON.parse(localStorage.getItem(draft) || "null");
      const young = found && Date.now() - found.time < DRAFT_DAYS * 86400000;
      return young && typeof found.text === "string" && Number.isInteger(found.base) ? found : null;
    } catch {
      return null; // not ours, or the browser keeps nothing
    }
  };
  const save = () => { // what is typed while an older draft is on offer takes its place; the older one is kept on the page
    const now = text(), long = now.length > LONGEST_DRAFT;
    try {
      if (undecided && now === first) localStorage.setItem(draft, JSON.stringify(undecided));
      else if (now === first || long) localStorage.removeItem(draft);
      else localStorage.setItem(draft, JSON.stringify({text: now, base: Number(base.value), time: Date.now()}));
      kept.textContent = now === first ? "" : long ? say("Longer than {n} characters: not saved in this browser", figure(LONGEST_DRAFT)) : say("Saved in this browser");
    } catch {
      kept.textContent = ""; // full, or forbidden: the text stays on the page
    }
  };
  const decide = () => { undecided = null; find("draft-found").hidden = true; save(); };
  const offer = () => {
    const found = stored(), line = find("draft-base");
    if (!found || found.text === first) return;
    undecided = found;
    find("draft-time").dateTime = new Date(found.time).toISOString();
    line.textContent = line.dataset.word.replace("{n}", found.base);
    find("draft-found").hidden = false;
  };
  find("draft-take").addEventListener("click", () => {
    put(undecided.text);
    move_to(undecided.base);
    decide();
    focus();
  });
  find("draft-drop").addEventListener("click", () => { decide(); focus(); });
  find("start-over").addEventListener("click", () => { // the text and what it is made from go back together
    put(first);
    if (Number(base.value) !== first_base) move_to(first_base);
    focus();
  });

  // ---- plan, merge, apply ----------------------------------------------------------------------------------------------
  const move_to = (number) => { // the revision that the text is made from
    base.value = number;
    const part = find("fresh");
    part.setAttribute("hx-get", `${fresh}?base=${number}`);
    htmx.trigger(document.body, "changed:revisions");
  };
  const mark_plan = () => {
    const shown = find("apply-form"), old = planned !== null && text() !== planned;
    plan.classList.toggle("plan-old", Boolean(shown) && old);
    if (!shown) return;
    shown.querySelector("button[type=submit]").disabled = old;
    const note = find("plan-old-note");
    if (note) note.remove();
    if (!old) return;
    const made = element("p", "notice notice-warning", say("The text has changed since: look again at what it would do."));
    made.id = "plan-old-note";
    plan.prepend(made);
  };
  document.body.addEventListener("htmx:configRequest", ({detail}) => {
    if (detail.verb !== "post" || !detail.path.startsWith(fresh.replace(/fresh$/, ""))) return;
    detail.parameters.spec = text();
    detail.parameters.base = base.value;
    if (detail.path.endsWith("/plan") && !applying) planned = text();
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const {elt, requestConfig: {path, verb}} = event.detail, ours = path.startsWith(fresh.replace(/fresh$/, ""));
    if (applying && (elt.id === "fresh" || (verb === "post" && ours))) event.preventDefault(); // one thing after the other
    else if (ours && path.endsWith("/apply")) applying = true;
  });
  document.body.addEventListener("htmx:afterRequest", ({detail}) => {
    if (detail.requestConfig.path.endsWith("/apply")) applying = false;
  });
  document.body.addEventListener("htmx:afterSwap", ({detail}) => {
    if (detail.target !== plan) return;
    const done = plan.querySelector("[data-applied]");
    if (done) {
      if (planned !== null) first = planned;
      planned = null;
      first_base = Number(done.dataset.applied);
      move_to(first_base);
      done.removeAttribute("data-applied"); // its part is fetched again; this happened once
      save();
    }
    mark_plan();
  });
  plan.addEventListener("click", (event) => {
    if (!event.target.closest("#take-merged")) return;
    const number = Number(plan.querySelector("[data-merged-base]").dataset.mergedBase), both = find("merged-text").value;
    plan.replaceChildren();
    put(both);
    move_to(number);
    focus();
  });

  if (!matchMedia("(max-width: 700px)").matches && window.CodeMirror) build();
  offer();
  check_soon(0);
})();
