// What pages cannot do by themselves: follow the cluster, say how old things are, filter, open dialogs, tell problems.
"use strict";
(() => {
  const LOST_AFTER_MS = 5000, SILENT_MS = 25000, RETRY_MS = 2000, TOAST_MS = 6000;
  const OLD_MS = 40000, CLOCK_MS = 3000; // parts that follow the state are fetched every ten seconds, every twenty where many look
  const SAY_MS = 5000, MOST_SAID = 3; // what changes each second is said now and then
  const PART_MS = 15000, WRITE_MS = 90000; // a write may wait for directors for a minute
  const body = document.body;
  const KINDS = ["status", "overrides", "revisions", "rollouts", "events"];

  // ---- time: the controller's clock counts; this browser's may be wrong ------------------------------------------------
  // Nor does every browser's steady clock go on while a machine sleeps: of both, the one that went further counts.
  let started = 0, steady = 0, wall = 0;
  const set_clock = (time) => { started = time; steady = performance.now(); wall = Date.now(); };
  const now = () => started + Math.max(performance.now() - steady, Date.now() - wall);
  set_clock(Date.parse(body.dataset.now) || Date.now());
  const lang = document.documentElement.lang;
  const UNITS = [["second", 120], ["minute", 7200, 60], ["hour", 172800, 3600], ["day", Infinity, 86400]];
  const split = (time) => {
    const seconds = Math.max(0, (now() - time) / 1000), [unit, , one = 1] = UNITS.find((each) => seconds < each[1]);
    return [Math.floor(seconds / one), unit];
  };
  const relative = new Intl.RelativeTimeFormat(lang, {style: "narrow"});
  const aged = (time) => relative.format(-split(time)[0], split(time)[1]);
  const local = new Intl.DateTimeFormat(lang, {dateStyle: "medium", timeStyle: "medium"});
  const clock = new Intl.DateTimeFormat(lang, {timeStyle: "medium"});
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tell_times = (root = document) => {
    for (const one of root.querySelectorAll("time[data-age], time[data-clock]")) {
      const time = Date.parse(one.dateTime);
      if (Number.isNaN(time)) continue;
      one.title = local.format(time);
      write(one, "clock" in one.dataset ? local.format(time) : aged(time));
    }
  };

  // ---- the stream: what has changed is told, what it is now is fetched --------------------------------------------------
  let stream = null, silent_since = null, again = null, heard = 0;
  const link = document.getElementById("link-state"), lost = document.getElementById("lost");
  const show_link = (state, word, dot) => {
    if (!link) return;
    link.dataset.state = state;
    link.querySelector(".dot").className = `dot dot-${dot}`;
    write(link.querySelector(".word"), word);
  };
  const changed = (kind) => htmx.trigger(body, `changed:${kind}`);
  const broken = () => { if (body.dataset.changes && silent_since === null) silent_since = performance.now(); };
  const open = () => {
    clearTimeout(again);
    if (!body.dataset.changes || document.hidden || stream) return;
    stream = new EventSource(body.dataset.changes);
    heard = performance.now();
    stream.addEventListener("hello", () => {
      heard = performance.now();
      silent_since = null;
      show_stale();
      KINDS.forEach(changed);
    });
    for (const kind of KINDS) stream.addEventListener(kind, () => { heard = performance.now(); changed(kind); });
    stream.addEventListener("error", () => {
      broken();
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        again = setTimeout(() => { changed("status"); open(); }, RETRY_MS);
      }
    });
  };
  const close = () => { clearTimeout(again); if (stream) stream.close(); stream = null; };
  document.addEventListener("visibilitychange", () => { if (document.hidden) { close(); silent_since = null; } else { broken(); show_stale(); open(); } });
  const listen = () => { // the controller says something every ten seconds: a connection that is silent for longer is dead
    if (stream && performance.now() - heard > SILENT_MS) { broken(); close(); open(); }
  };
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { broken(); show_stale(); open(); } });

  // ---- what is old is marked, with its age -----------------------------------------------------------------------------
  const failed = new Set(); // ids of parts that could not be fetched
  const is_old = (part) => // as after a night in which the machine slept
    /changed:status|every/.test(part.getAttribute("hx-trigger") || "") && now() - Date.parse(part.dataset.taken) > OLD_MS;
  const show_stale = () => {
    const all = silent_since !== null && performance.now() - silent_since > LOST_AFTER_MS;
    if (lost) lost.hidden = !all;
    if (all) show_link("lost", link ? link.dataset.lost : "", "bad");
    else if (silent_since === null && stream) show_link("live", link ? link.dataset.live : "", "ok");
    else show_link("wait", link ? link.dataset.wait : "", "unknown");
    for (const part of document.querySelectorAll(".part")) {
      const stale = all || failed.has(part.id) || is_old(part), line = part.querySelector(":scope > .part-age");
      part.classList.toggle("stale", stale);
      if (!line) continue;
      line.hidden = !stale;
      const time = Date.parse(part.dataset.taken);
      if (stale) write(line, body.dataset.asOf.replace("{time}", clock.format(time)).replace("{age}", aged(time)));
    }
  };

  // ---- for who hears the page: what appears or changes in a part that is there, once, and not each refresh -------------
  const heard_in = new Map(); // the id of a part: what it said when it was looked at last
  let unsaid = [], saying = null;
  const name_of = (one) => `${one.dataset.say} ${one.textContent.replace(/[\d.,]+/g, "")}`; // ages and counts go on by themselves
  const words_of = (one) => (one.dataset.said || one.textContent).replace(/\s+/g, " ").trim();
  const say = () => {
    const said = document.getElementById("said"), {more} = said.dataset, left = unsaid.length - MOST_SAID;
    const line = [...unsaid.slice(0, MOST_SAID), ...(left > 0 ? [more.replace("{n}", left)] : [])].join(". ");
    said.textContent = line;
    unsaid = [];
    saying = setTimeout(() => { saying = null; if (unsaid.length) say(); }, SAY_MS);
  };
  const listen_to_parts = () => {
    for (const id of heard_in.keys()) if (!document.getElementById(id)) heard_in.delete(id);
    for (const part of document.querySelectorAll(".part[id]")) {
      const now = new Map([...part.querySelectorAll("[data-say]")].map((one) => [name_of(one), words_of(one)]));
      const before = heard_in.get(part.id);
      heard_in.set(part.id, new Set(now.keys()));
      if (before) unsaid.push(...[...now].filter(([name]) => !before.has(name)).map(([, words]) => words));
    }
    if (unsaid.length && saying === null) say();
  };

  // ---- filters: no request, and they outlive a part that is fetched again ----------------------------------------------
  const filter = (box) => {
    const target = document.querySelector(box.dataset.filter);
    if (!target) return;
    const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const one of target.querySelectorAll("[data-find]")) {
      const text = one.dataset.find.toLowerCase(), fits = wanted.every((word) => text.includes(word));
      one.classList.toggle("filtered", !fits);
      if (fits) left += 1;
    }
    for (const fold of target.querySelectorAll("details[data-fold]")) { // what is looked for is not hidden in it
      if (wanted.length && fold.dataset.fold === "") fold.dataset.fold = fold.open ? "open" : "closed";
      if (wanted.length) fold.open = Boolean(fold.querySelector("[data-find]:not(.filtered)"));
      else if (fold.dataset.fold) { fold.open = fold.dataset.fold === "open"; fold.dataset.fold = ""; }
    }
    target.classList.toggle("filtering", wanted.length > 0);
    target.classList.toggle("nothing-left", wanted.length > 0 && left === 0);
  };
  const asked = new URLSearchParams(location.search).get("q"), first = document.querySelector("[data-filter]");
  if (asked && first) first.value = asked; // whoever leads here may have said what to look for
  const filter_all = () => document.querySelectorAll("[data-filter]").forEach(filter);
  document.addEventListener("input", (event) => { if (event.target.matches("[data-filter]")) filter(event.target); });

  // ---- moments: typed in this browser's zone, sent in UTC --------------------------------------------------------------
  for (const box of document.querySelectorAll("[data-moment]")) {
    const kept = box.form.elements[box.dataset.moment], time = new Date(kept.value);
    if (!Number.isNaN(time.getTime())) box.value = new Date(time - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    box.addEventListener("change", () => { kept.value = box.value ? new Date(box.value).toISOString() : ""; });
  }

  // ---- problems, toasts, dialogs ---------------------------------------------------------------------------------------
  const toasts = document.getElementById("toasts"), dialog = document.getElementById("dialog");
  const toast = (text, tone) => {
    const made = document.createElement("div");
    made.className = `toast toast-${tone}`;
    if (text) made.textContent = text;
    toasts.append(made);
    const leave = () => made.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : made.remove();
    setTimeout(leave, tone === "bad" ? 3 * TOAST_MS : TOAST_MS);
    return made;
  };
  const said = (xhr) => {
    try {
      const {error} = JSON.parse(xhr.responseText);
      return [error.message, error.hint].filter(Boolean).join(" – ");
    } catch {
      return body.dataset.refused;
    }
  };
  const is_page = (xhr) => (xhr.getResponseHeader("content-type") || "").startsWith("text/html");
  const is_part = (detail) => detail.elt.classList.contains("part") && detail.requestConfig.verb === "get";
  body.addEventListener("htmx:beforeSwap", ({detail}) => {
    if (detail.xhr.status < 400) return;
    const form = detail.requestConfig.elt.closest("[data-problems]"); // detail.elt is what would be swapped
    const box = form && document.querySelector(form.dataset.problems);
    if (is_part(detail)) {
      failed.add(detail.elt.id);
      detail.shouldSwap = false;
      show_stale();
    } else if (!is_page(detail.xhr)) {
      detail.shouldSwap = false;
      toast(said(detail.xhr), "bad");
    } else {
      detail.shouldSwap = true;
      detail.isError = false;
      detail.swapOverride = "innerHTML";
      detail.target = box || toast("", "bad");
    }
  });
  const unreached = ({detail}) => {
    broken(); // a stream that is still open says nothing about a controller that cannot be asked
    if (is_part(detail)) { failed.add(detail.elt.id); show_stale(); } else toast(body.dataset.unreached, "bad");
  };
  body.addEventListener("htmx:sendError", unreached);
  body.addEventListener("htmx:timeout", unreached);
  body.addEventListener("htmx:configRequest", ({detail}) => {
    const part = detail.elt.classList.contains("part") && detail.verb === "get";
    detail.timeout = part ? PART_MS : WRITE_MS; // one that hangs would hold up all that wait behind it
    if (part) detail.path = detail.elt.getAttribute("hx-get"); // it may have waited while something else was opened
  });
  body.addEventListener("htmx:afterRequest", ({detail}) => {
    const said_at = Date.parse(detail.xhr.getResponseHeader("date"));
    if (Math.abs(said_at - now()) > CLOCK_MS) set_clock(said_at);
    if (detail.successful && stream && stream.readyState === EventSource.OPEN) silent_since = null;
    const well = detail.successful && detail.xhr.status < 400; // a problem that was shown counts as one of htmx's successes
    if (well && detail.elt.id) failed.delete(detail.elt.id);
    const form = well && detail.elt.closest("[data-problems]");
    const box = form && document.querySelector(form.dataset.problems);
    if (box && box !== detail.target) box.replaceChildren(); // what was asked for may stand where problems would
  });
  body.addEventListener("htmx:afterSwap", ({detail}) => {
    if (detail.target !== dialog || !dialog.childElementCount || dialog.open) return;
    if (document.getElementById("dialog-title")) dialog.setAttribute("aria-labelledby", "dialog-title");
    const menu = document.activeElement && document.activeElement.closest("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); } // this is what one comes back to
    dialog.showModal();
  });
  const settle = () => { tell_times(); filter_all(); show_stale(); listen_to_parts(); };
  body.addEventListener("htmx:afterSettle", settle);
  body.addEventListener("console:settle", settle); // what came by another stream than htmx's
  body.addEventListener("htmx:beforeRequest", ({detail: {elt, xhr}}) => {
    // A refresh may take a button away before its answer comes: htmx would tell it to an element that nobody hears.
    xhr.addEventListener("readystatechange", () => {
      if (xhr.readyState !== XMLHttpRequest.DONE || elt.isConnected) return;
      if (xhr.status >= 400 && is_page(xhr)) toast("", "bad").innerHTML = xhr.responseText;
      else if (xhr.status >= 400) toast(said(xhr), "bad");
      const told = JSON.parse(xhr.getResponseHeader("HX-Trigger") || "{}");
      for (const [name, value] of Object.entries(told)) htmx.trigger(body, name, value);
    });
  });
  body.addEventListener("console:toast", ({detail}) => toast(detail.text, "ok"));
  body.addEventListener("console:close", () => { if (dialog.open) dialog.close(); });
  dialog.addEventListener("close", () => { dialog.replaceChildren(); dialog.removeAttribute("aria-labelledby"); });
  document.addEventListener("click", (event) => {
    const closing = event.target.closest("[data-close]"), copying = event.target.closest("[data-copy]");
    if (closing) closing.closest("dialog")?.close();
    if (event.target === dialog) dialog.close();
    if (copying) copy(copying);
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest && event.target.closest("details.menu[open]");
    if (event.key === "Escape" && menu) { menu.open = false; menu.querySelector("summary").focus(); }
    const typing = event.target.matches && event.target.matches("input, textarea, select");
    const search = document.querySelector("[data-filter]");
    if (event.key === "/" && !typing && search && !dialog.open) { event.preventDefault(); search.focus(); }
  });
  const copy = async (button) => {
    const source = document.querySelector(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      if (button.dataset.copied) toast(button.dataset.copied, "ok");
    } catch {
      getSelection().selectAllChildren(source); // what may not be copied for somebody can be copied by them
    }
  };

  // ---- paper: what is folded would be missing from it; it says of when it is --------------------------------------------
  let unfolded = [];
  addEventListener("beforeprint", () => {
    tell_times();
    const line = document.querySelector("#printed time");
    if (line) { line.dateTime = new Date(now()).toISOString(); tell_times(line.parentElement); }
    unfolded = [...document.querySelectorAll("main details:not([open], .menu)")];
    for (const one of unfolded) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of unfolded) one.open = false; unfolded = []; });

  // A script that did not come, as on a bad line: the page would stand still without a word.
  if (!window.htmx || !window.Idiomorph) {
    if (!body.dataset.changes) return;
    if (lost) lost.hidden = false;
    show_link("lost", link ? link.dataset.lost : "", "bad");
    setTimeout(() => location.reload(), RETRY_MS);
    return;
  }

  // What somebody has opened or closed stays so when its part is fetched again.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(["open", "data-fold"].includes(name) && node.matches("details"));

  const tab = document.querySelector(".tabs [aria-current]"); // on a phone; scrollIntoView() would let Tab begin behind it
  if (tab) {
    const row = tab.parentElement, [inner, outer] = [tab, row].map((one) => one.getBoundingClientRect());
    row.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
  settle();
  broken();
  open();
  setInterval(() => { listen(); tell_times(); show_stale(); }, 1000);
})();
