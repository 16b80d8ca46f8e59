// Realtime: one stream of whole pictures. What is chosen in the bar is in the address; a hidden or paused page asks nothing.
"use strict";
(() => {
  const form = document.getElementById("realtime-form"), holder = document.getElementById("realtime");
  if (!form || !holder || !window.Idiomorph) return; // without that, console.js loads the page again
  const RETRY_MS = 2000, TYPED_MS = 400, LATE_S = 8;
  const held = document.getElementById("realtime-held"), pause = document.getElementById("realtime-pause");
  const sort = document.getElementById("realtime-sort"), page = document.getElementById("realtime-page"), search = document.getElementById("realtime-search");
  const clock = new Intl.DateTimeFormat(document.documentElement.lang, {timeStyle: "medium"});
  let stream = null, paused = false, again = null, typed = null;
  let within_s = Number(form.elements.every.value); // until the next one; longer where many look
  let heard = {steady: performance.now(), wall: Date.now()}; // the one that went further counts, as a machine may have slept

  const hear = () => { heard = {steady: performance.now(), wall: Date.now()}; };
  const silent_ms = () => Math.max(performance.now() - heard.steady, Date.now() - heard.wall);
  const part = () => document.getElementById("realtime-now");
  const query = () => {
    const chosen = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...chosen]) if (!value) chosen.delete(name);
    return chosen.toString();
  };
  const say = (state) => {
    holder.dataset.state = state;
    held.hidden = state === "live";
    const told = held.dataset[state];
    if (told) held.textContent = told.replace("{time}", clock.format(Date.parse(part().dataset.taken)));
  };
  const show = (html) => {
    const made = new DOMParser().parseFromString(html, "text/html").getElementById("realtime-now");
    if (!made) return;
    Idiomorph.morph(part(), made, {morphStyle: "outerHTML"});
    document.body.dispatchEvent(new Event("console:settle"));
  };
  const close = () => { clearTimeout(again); if (stream) stream.close(); stream = null; };
  const open = () => {
    close();
    if (paused || document.hidden) return;
    stream = new EventSource(`${holder.dataset.stream}?${query()}`);
    stream.addEventListener("now", (event) => {
      const told = JSON.parse(event.data);
      hear();
      within_s = told.within_s;
      if (holder.dataset.state !== "live") say("live");
      show(told.html);
    });
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) { close(); again = setTimeout(open, RETRY_MS); }
    });
  };
  const chosen = (number = "") => { // anything else that is chosen begins at the first page
    clearTimeout(typed);
    page.value = number;
    within_s = Math.max(within_s, Number(form.elements.every.value));
    search.hidden = !form.elements.connections.checked;
    history.replaceState(null, "", `${location.pathname}?${query()}`);
    if (paused) { toggle(); return; }
    open();
  };
  const toggle = () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.querySelector("span").textContent = paused ? pause.dataset.go : pause.dataset.pause;
    pause.querySelector("use").setAttribute("href", pause.querySelector("use").getAttribute("href").replace(/#.*/, paused ? "#play" : "#pause"));
    if (paused) close(); else { hear(); open(); }
    say(paused ? "paused" : "live");
  };
  pause.addEventListener("click", toggle);
  form.addEventListener("change", () => chosen());
  form.addEventListener("input", (event) => {
    if (event.target.type !== "search") return;
    clearTimeout(typed);
    typed = setTimeout(() => chosen(), TYPED_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const {name, value} = event.submitter || {};
    if (name === "sort") sort.value = value;
    chosen(name === "page" ? value : "");
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else { look(); open(); } });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { look(); open(); } });
  const look = () => {
    const late = silent_ms() > 1000 * (LATE_S + 2 * within_s);
    if (!paused && !document.hidden && late && holder.dataset.state === "live") say("lost");
  };
  setInterval(look, 1000);
  open();
})();
