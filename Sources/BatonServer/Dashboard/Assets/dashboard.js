// Keeps the page live, writes times as ages, and presses buttons without leaving the page. Everything works without it, but
// stands still.
"use strict";
(() => {
  const body = document.body;
  const link = document.getElementById("link");
  const toast = document.getElementById("toast");
  const voice = document.getElementById("voice");

  // The database's clock, by which all times are: this machine's may be wrong.
  let offset = body.dataset.now ? Date.parse(body.dataset.now) - Date.now() : 0;
  let heard = 0;

  // --- times ---

  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function span(seconds) {
    const first = units.findIndex(([size]) => seconds >= size);
    if (first < 0) return "0 s";
    const [size, unit] = units[first];
    let text = Math.floor(seconds / size) + " " + unit;
    const next = units[first + 1];
    const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
    // Beyond the first few, the smaller unit is noise.
    if (rest > 0 && seconds / size < 10) text += " " + rest + " " + next[1];
    return text;
  }

  function age(time) {
    const seconds = Math.round((Date.now() + offset - Date.parse(time.dateTime)) / 1000);
    const text = seconds < -1 ? "in " + span(-seconds) : seconds < 1 ? "now" : span(seconds) + " ago";
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = new Date(time.dateTime).toLocaleString() + " · " + time.dateTime.slice(0, 19) + " UTC";
  }

  function tick() {
    document.querySelectorAll("time").forEach(age);
    if (source && heard && Date.now() - heard > 20000) say("lost", "No news for " + span((Date.now() - heard) / 1000));
  }

  // --- the stream ---

  let source = null;

  function say(state, text) {
    if (link.dataset.state !== state || link.lastChild.textContent !== text) {
      link.dataset.state = state;
      link.lastChild.textContent = text;
    }
  }

  // What a screen reader is told: the one sentence that matters, when it changes.
  let spoken = spoke();
  function spoke() {
    const element = document.querySelector("[data-voice]");
    return element ? element.textContent : "";
  }

  // The server escapes every value; with the page's policy even a mistake there could not run.
  function replace(id, markup) {
    const section = document.getElementById(id);
    if (!section) return;
    const active = section.contains(document.activeElement) ? document.activeElement : null;
    const controls = "a[href], button, summary, input";
    const nameOf = (control) => (control.type === "checkbox" ? control.value : control.textContent);
    const index = active ? [...section.querySelectorAll(controls)].indexOf(active) : -1;
    const name = active ? nameOf(active) : "";
    const fresh = new DOMParser().parseFromString(markup, "text/html").body;
    section.replaceChildren(...fresh.childNodes);
    if (index < 0) return;
    const all = [...section.querySelectorAll(controls)];
    (all.find((one) => nameOf(one) === name) || all[Math.min(index, all.length - 1)])?.focus({ preventScroll: true });
  }

  function update(event) {
    const news = JSON.parse(event.data);
    heard = Date.now();
    if (news.now) offset = Date.parse(news.now) - Date.now();
    for (const [id, markup] of Object.entries(news.sections)) {
      if (isHeld(document.getElementById(id))) waiting.set(id, markup);
      else replace(id, markup);
    }
    if (news.fault) say("fault", news.fault);
    else say("live", "Live");
    const now = spoke();
    if (now !== spoken) voice.textContent = spoken = now;
    tick();
  }

  function listen() {
    if (source || !body.dataset.live || document.hidden) return;
    source = new EventSource(body.dataset.live);
    source.onmessage = update;
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) say("lost", "Ended: load the page again");
      else say("lost", "Connecting again");
    };
  }

  // A browser has six connections to a server; a page that nobody sees needs none.
  function rest() {
    source?.close();
    source = null;
    say("waiting", "Resting");
  }

  // --- buttons ---

  const waiting = new Map();

  // A section stands still while a button of it waits for its second press, and while rows of it are chosen.
  function isHeld(section) {
    return section?.querySelector(".armed, tbody input:checked");
  }

  function release(section) {
    if (!section || isHeld(section) || !waiting.has(section.id)) return;
    replace(section.id, waiting.get(section.id));
    waiting.delete(section.id);
  }

  function disarm(button) {
    if (!button.classList.contains("armed")) return;
    button.classList.remove("armed");
    button.textContent = button.dataset.label;
    release(button.closest("section"));
  }

  function note(text, isFault) {
    toast.textContent = text;
    toast.className = isFault ? "bad" : "good";
    clearTimeout(note.timer);
    note.timer = setTimeout(() => (toast.textContent = toast.className = ""), 6000);
  }

  // Not disabled until then: that would take the focus away.
  async function press(button, fields) {
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(button.getAttribute("formaction"), {
        method: "POST", headers: { Accept: "text/plain" }, body: new URLSearchParams(fields), redirect: "manual",
      });
      if (answer.ok) {
        note(await answer.text(), false);
        choose([]);
        return body.dataset.live ? undefined : await read();
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      note(page.querySelector(".message p")?.textContent || "This did not work: " + answer.status, true);
    } catch {
      note("The server cannot be reached.", true);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  // A page that does not follow the database is read again when a button has acted.
  async function read() {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    page.querySelectorAll("main section[id]").forEach((section) => replace(section.id, section.innerHTML));
    tick();
  }

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    // Not `event.target.id`: rows that are chosen have that name in their form.
    const form = event.target.getAttribute("id");
    if (!["act", "chosen"].includes(form) || !button) return;
    // Signing out leaves the page, at once or at the second press.
    const leaves = button.getAttribute("formaction") === "/logout";
    if (leaves && (!button.dataset.confirm || button.classList.contains("armed"))) return;
    event.preventDefault();
    if (button.hasAttribute("aria-busy")) return;
    const count = chosen().length;
    if (form === "chosen" && count === 0) return note("Choose reviews first.", true);
    if (button.dataset.confirm && !button.classList.contains("armed")) {
      button.dataset.label = button.textContent;
      button.textContent = button.dataset.confirm.replace("#", count);
      button.classList.add("armed");
      voice.textContent = button.textContent;
      setTimeout(() => disarm(button), 5000);
      return;
    }
    const fields = new FormData(event.target, button);
    disarm(button);
    press(button, fields);
  });

  // --- choosing rows ---

  const rows = () => [...document.querySelectorAll("#list tbody input[type=checkbox]")];
  const chosen = () => rows().filter((box) => box.checked);

  // The box for the whole page follows those of the rows.
  function tally() {
    const all = document.querySelector("#list [data-all]");
    if (!all) return;
    const count = chosen().length;
    all.checked = count > 0 && count === rows().length;
    all.indeterminate = count > 0 && !all.checked;
    const text = document.querySelector("#list .tally");
    if (text) text.textContent = count > 0 ? count + " chosen; the list stands still" : "";
    release(all.closest("section"));
  }

  function choose(boxes) {
    rows().forEach((box) => (box.checked = boxes.includes(box)));
    tally();
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("#list [data-all]")) choose(event.target.checked ? rows() : []);
    else if (event.target.matches("#list tbody input")) tally();
  });

  // --- signing in and out ---

  // The log-in link's code stands behind the number sign, which no server or proxy sees; it is taken out of the address at once.
  function signIn() {
    const form = document.querySelector("form.login");
    if (!form || !location.hash.startsWith("#code=")) return;
    form.elements.token.value = location.hash.slice("#code=".length);
    history.replaceState(null, "", location.pathname);
    form.submit();
  }

  // A page that the browser has kept whole, and shows again by its back button, may be one of a session that has ended.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("hashchange", signIn);
  signIn();

  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
  addEventListener("pagehide", () => source?.close());
  if (link) link.append("");
  tally();
  tick();
  setInterval(tick, 1000);
  if (link) listen();
})();
