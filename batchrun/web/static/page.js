// Live updates, drag and drop, and a message while a form is being sent. The page also works without
// this file: it reloads automatically while something runs, and a button uploads lists.

const POLL_MS = 1000;
const IDLE_POLL_MS = 3000; // on a screen that only has to notice when batchrun ends
const SAY_MS = 10000;
const ENDED = "Updates stopped: batchrun is not running any more. Nothing is lost. Start it again with ";
const GONE = "This run was forgotten in another window.";
const OTHER = "batchrun was started again. Go on in the window that it opened or at the address that it printed.";

const say = document.getElementById("say");
let saidAt = 0;
let saidShare = -1;

function announce(text) {
  say.textContent = text;
  saidAt = Date.now();
}

let liveTitle = document.title;
function offline(text) {
  const banner = document.getElementById("offline");
  const changed = banner.hidden === Boolean(text);
  if (!changed) return;
  banner.textContent = text || "";
  banner.hidden = !text;
  document.body.classList.toggle("stale", Boolean(text));
  if (text) liveTitle = document.title;
  document.title = text ? "Not connected · batchrun" : liveTitle;
  for (const each of document.querySelectorAll("form[method=post] button, button[form]")) {
    each.toggleAttribute("aria-disabled", false);
    if (text) each.setAttribute("aria-disabled", "true");
  }
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

// Update only the nodes that differ, which keeps focus, scroll position, and a click in progress.
function change(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== next.nodeName) {
    old.replaceWith(next);
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) old.setAttribute(name, value);
  changeChildren(old, [...next.childNodes]);
}

function changeChildren(old, next) {
  const before = [...old.childNodes];
  next.forEach((each, at) => (at < before.length ? change(before[at], each) : old.append(each)));
  for (const each of before.slice(next.length)) each.remove();
}

// The controls of a list's form that the user has changed since the page was loaded.
const edited = new Map();
function keepEdits() {
  const form = document.querySelector("form[data-choices]");
  if (!form) return;
  for (const [name, old] of edited) {
    const next = form.elements.namedItem(name);
    if (!next) continue;
    next.value = old.value;
    next.checked = old.checked;
    next.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

async function swap() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const next = parse(await answer.text());
  const main = next.getElementById("main");
  if (!main) return;
  if (new URL(answer.url).pathname !== location.pathname) {
    location.replace(answer.url);
    return;
  }
  document.title = next.title;
  const held = document.activeElement?.closest("main") !== null;
  const opened = [...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  document.getElementById("main").replaceWith(document.adoptNode(main));
  for (const one of main.querySelectorAll("summary")) if (opened.includes(one.textContent)) one.parentElement.open = true;
  if (held) main.focus({ preventScroll: true });
  announce(main.querySelector(".message, .card h2")?.textContent.trim() ?? document.title);
  start();
  keepEdits();
}

async function poll() {
  const main = document.getElementById("main");
  if ("refused" in main.dataset) return;
  const address = main.dataset.live ?? "/alive";
  const query = new URLSearchParams(location.search);
  query.set("since", main.dataset.version ?? "");
  let answer;
  try {
    answer = await fetch(`${address}?${query}`);
  } catch {
    offline(`${ENDED}${document.body.dataset.start}. Then use the window that it opens or the address that it prints, not this window.`);
    return;
  }
  if (answer.status === 403 || answer.status === 421) {
    offline(OTHER);
    return;
  }
  offline("");
  if (!answer.ok) {
    if (answer.status === 404) offline(GONE);
    return;
  }
  if (answer.status === 204) return;
  const news = await answer.json();
  if (news.phase !== main.dataset.phase) {
    await swap();
    return;
  }
  main.dataset.version = news.version;
  for (const [id, html] of Object.entries(news.parts ?? {})) {
    const part = document.getElementById(id);
    if (part) changeChildren(part, [...parse(html).body.childNodes]);
  }
  if (news.title) document.title = `${news.title} · batchrun`;
  if (news.say && news.share !== saidShare && Date.now() - saidAt > SAY_MS) {
    saidShare = news.share;
    announce(news.say);
  }
}

async function keepPolling() {
  if (!document.hidden) await poll().catch(() => {});
  const live = document.getElementById("main").dataset.live;
  setTimeout(keepPolling, live ? POLL_MS : IDLE_POLL_MS);
}

// After a form that leads back to its own screen, keep the place, unless a message is at the top.
function keepPlace() {
  const place = JSON.parse(sessionStorage.getItem("place"));
  if (document.getElementById("main").dataset.phase !== "busy") sessionStorage.removeItem("place");
  if (place?.path !== location.pathname || document.querySelector("main > .message[role=alert]")) return;
  scrollTo(0, place.y);
  const checked = document.querySelector("[data-say]");
  checked?.focus(); // which brings the new figures into view
  if (checked) announce(checked.dataset.say);
}

function start() {
  keepPlace();
  for (const form of document.querySelectorAll("form[data-drop]")) drop(form);
  for (const form of document.querySelectorAll("form.filter")) {
    form.querySelector("select").addEventListener("change", () => form.requestSubmit());
  }
  for (const form of document.querySelectorAll("form[data-choices]")) choices(form);
}

function drop(form) {
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    if (!input.files.length) return;
    const tooLarge = input.files[0].size > Number(form.dataset.most);
    form.querySelector(".too-large").hidden = !tooLarge; // the server would abort the upload
    if (tooLarge) input.value = "";
    else form.requestSubmit();
  });
}

// A list can be dropped on every screen; the home screen shows where.
let hovering = 0;
function over(form, is) {
  form.classList.toggle("over", is);
  if (form.classList.contains("anywhere")) form.hidden = !is;
}
function onDrag(name, react) {
  document.addEventListener(name, (event) => {
    const form = document.querySelector("form[data-drop]");
    if (form && event.dataTransfer?.types.includes("Files")) react(form, event);
  });
}
onDrag("dragenter", (form) => {
  hovering += 1;
  over(form, true);
});
onDrag("dragleave", (form) => {
  hovering -= 1;
  if (hovering <= 0) over(form, false);
});
onDrag("dragover", (_form, event) => event.preventDefault());
onDrag("drop", (form, event) => {
  event.preventDefault();
  hovering = 0;
  form.classList.remove("over"); // a form that was hidden stays, to say that the list is read
  const one = new DataTransfer();
  one.items.add(event.dataTransfer.files[0]);
  const input = form.querySelector("input[type=file]");
  input.files = one.files;
  input.dispatchEvent(new Event("change"));
});

function choices(form) {
  const workflow = document.getElementById("workflow");
  workflow.addEventListener("change", () => {
    document.getElementById("about").textContent = workflow.selectedOptions[0].dataset.about ?? "";
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("select, input")) return;
    event.preventDefault(); // Enter checks the list from each control, so that nobody tabs through all options
    form.requestSubmit(document.getElementById("recheck"));
  });
  // While typing, not on leaving the field: the click that leaves it must hit the button under it.
  form.addEventListener("input", (event) => {
    edited.set(event.target.name, event.target);
    for (const each of form.querySelectorAll(".parameter")) {
      const [name, value] = each.querySelectorAll("input");
      value.required = name.value.trim() !== "" && each.querySelector("select").value === "";
    }
    document.getElementById("before").textContent = "Before you run";
    document.getElementById("changed").hidden = false;
    const recheck = document.getElementById("recheck");
    recheck.className = "primary";
    if (!("live" in document.getElementById("main").dataset)) recheck.disabled = false;
    for (const button of document.querySelectorAll("button[data-run]")) button.disabled = true;
    for (const each of document.querySelectorAll("[data-until-changed]")) each.hidden = true;
  });
}

// Show what is wrong beside the field, instead of in the browser's own bubble.
document.addEventListener(
  "invalid",
  (event) => {
    const field = event.target;
    event.preventDefault();
    field.closest("details")?.setAttribute("open", "");
    if (field.nextElementSibling?.className !== "invalid") {
      const note = document.createElement("p");
      note.className = "invalid";
      note.setAttribute("role", "alert");
      note.textContent = field.title;
      field.after(note);
      field.addEventListener("input", () => note.remove(), { once: true });
    }
    field.form.querySelector("input:invalid, select:invalid").focus();
  },
  true,
);
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href*="/download"]');
  if (!link) return;
  link.dataset.preparing = "yes"; // the browser shows nothing until the file is written
  announce("Preparing the file…");
  setTimeout(() => {
    delete link.dataset.preparing;
    announce("");
  }, 3000);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  const banner = document.getElementById("offline");
  if (!banner.hidden) {
    event.preventDefault(); // the browser would show its own error page
    announce(banner.textContent);
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault(); // ignore a double click
    return;
  }
  if (form.method !== "post") return;
  sessionStorage.setItem("place", JSON.stringify({ path: location.pathname, y: scrollY }));
  form.dataset.sent = "yes";
  for (const each of form.elements) if (each.type === "submit") each.setAttribute("aria-disabled", "true");
  const busy = event.submitter?.dataset.busy ?? form.dataset.busy;
  if (busy) {
    announce(busy);
    if (event.submitter) {
      event.submitter.style.minWidth = `${event.submitter.offsetWidth}px`; // nothing moves under a second click
      event.submitter.textContent = busy;
    }
    const title = form.querySelector("h2");
    if (form.hasAttribute("data-drop")) {
      title.textContent = busy;
      const stripe = document.createElement("div");
      stripe.className = "stripe";
      title.after(stripe);
    }
  }
});
window.addEventListener("pageshow", (event) => event.persisted && location.reload()); // after Back, the cached page is outdated

start();
keepPolling();
