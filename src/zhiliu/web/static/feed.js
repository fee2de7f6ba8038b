// The first feed page: cards, next pages by cursor, impressions, likes, hides, why.
import { ApiError, call, keepKey } from "./api.js";
import { boot, make, t, who } from "./boot.js";
import { card, titleOf } from "./card.js";
import { EventQueue, Impressions } from "./events.js";
import { showWhy } from "./why.js";

const PAGE = 10;
const UNDO_MS = 6000;
const feed = document.getElementById("feed");
const state = document.getElementById("state");
const toast = document.getElementById("toast");

let cursor = null;
let loading = false;
let ended = false;
let count = 0;
let troubled = false;
let pendingHide = null;
const items = new Map(); // card element → { item, request_id }

const events = new EventQueue((trouble) => {
  if (trouble && !troubled) say(t("not_saved"));
  troubled = trouble;
});

const impressions = new Impressions((element) => send("impression", element));

function send(type, element) {
  const { item, request_id } = items.get(element);
  const props = type === "impression" ? { position: item.position } : {};
  events.add(type, { request_id, video_id: item.video.video_id, surface: "for_you", props });
}

function say(text, button = null) {
  toast.replaceChildren(make("span", { class: button ? "" : "wrap" }, text), ...(button ? [button] : []));
  toast.hidden = false;
  if (!button) setTimeout(() => { if (!pendingHide) toast.hidden = true; }, 4000);
}

/** The hide is sent once it can no longer be taken back: what is undone never happened. */
function commitHide() {
  if (!pendingHide) return;
  clearTimeout(pendingHide.timer);
  send("hide", pendingHide.element);
  events.flush(document.hidden);
  items.delete(pendingHide.element);
  pendingHide = null;
  toast.hidden = true;
}

function hide(item, element) {
  commitHide();
  const after = element.nextElementSibling;
  const focusWasInside = element.contains(document.activeElement);
  impressions.forget(element);
  element.remove();
  const undo = make("button", { type: "button" }, t("undo"));
  undo.addEventListener("click", () => {
    clearTimeout(pendingHide.timer);
    pendingHide = null;
    toast.hidden = true;
    feed.insertBefore(element, after?.isConnected ? after : null);
    impressions.watch(element);
    element.focus();
  });
  say(t("hidden", { title: titleOf(item.video) }), undo);
  pendingHide = { element, timer: setTimeout(commitHide, UNDO_MS) };
  if (focusWasInside) (after ?? feed.lastElementChild ?? feed).focus();
  if (feed.childElementCount < 3) more();
}

addEventListener("pagehide", commitHide);

const actionsFor = (request_id) => ({
  like: (item, on) => events.add(on ? "like" : "unlike", { request_id, video_id: item.video.video_id, surface: "for_you" }),
  hide,
  why: (item) => showWhy(item, request_id),
});

function show(page) {
  const actions = actionsFor(page.request_id);
  for (const item of page.items) {
    count += 1;
    const element = card(item, count, actions);
    items.set(element, { item, request_id: page.request_id });
    feed.append(element);
    impressions.watch(element);
  }
}

function tell(...parts) {
  state.replaceChildren(...parts);
}

function button(text, act, main = false) {
  const element = make("button", { type: "button", class: main ? "main" : "" }, text);
  element.addEventListener("click", act);
  return element;
}

function failed(error) {
  if (error instanceof ApiError && error.status === 401) return askForKey();
  const box = make("div", { role: "alert" }, make("h2", {}, t("error_title")), make("p", {}, error.message || t("error_text")));
  return tell(box, button(t("retry"), more, true));
}

function askForKey() {
  const input = make("input", { type: "password", "aria-label": t("key_title"), autocomplete: "off" });
  const form = make("form", {}, input, make("button", { type: "submit", class: "main" }, t("key_go")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(input.value.trim());
    more();
  });
  tell(make("h2", {}, t("key_title")), make("p", {}, t("key_text")), form);
}

function settle(page) {
  cursor = page.next_cursor;
  ended = !cursor;
  if (count === 0) tell(make("h2", {}, t("empty_title")), make("p", {}, t("empty_text")), button(t("retry"), more, true));
  else if (ended) tell(make("p", {}, t("end")), button(t("again"), restart));
  else tell(button(t("more"), more));
}

async function more() {
  if (loading || (ended && count > 0)) return;
  loading = true;
  feed.setAttribute("aria-busy", "true");
  tell(make("p", {}, t("loading")));
  try {
    const query = new URLSearchParams({ ...who, limit: PAGE, language: boot.lang });
    if (cursor) query.set("cursor", cursor);
    const page = await call(`/feed?${query}`);
    show(page);
    settle(page);
  } catch (error) {
    failed(error);
  } finally {
    loading = false;
    feed.setAttribute("aria-busy", "false");
    watchBottom();
  }
}

function restart() {
  commitHide();
  feed.replaceChildren();
  items.clear();
  cursor = null;
  ended = false;
  count = 0;
  scrollTo(0, 0);
  more();
}

const bottom = new IntersectionObserver((entries) => {
  // The first page is fetched below; after an error only the button tries again, so nothing loops.
  if (entries.some((entry) => entry.isIntersecting) && cursor && !state.querySelector("[role=alert]")) more();
}, { rootMargin: "600px" });

function watchBottom() {
  bottom.unobserve(state); // observing again tells the present state: a tall window needs several pages
  bottom.observe(state);
}

const THEMES = ["auto", "light", "dark"];
const theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = next;
  theme.textContent = t(`theme_${next}`);
  document.cookie = `zhiliu_theme=${next}; path=/; max-age=31536000; samesite=lax`;
});

/** The card the keys act on: the focused one, otherwise the first that is well in view. */
function current() {
  const focused = document.activeElement?.closest?.(".card");
  if (focused) return focused;
  return [...feed.children].find((element) => element.getBoundingClientRect().top >= 0) ?? null;
}

function step(by) {
  const focused = document.activeElement?.closest?.(".card");
  const target = focused ? (by > 0 ? focused.nextElementSibling : focused.previousElementSibling) : current();
  target?.focus();
  target?.scrollIntoView({ block: "nearest" });
}

const press = (what) => current()?.querySelector(`[data-do=${what}]`)?.click();
const KEYS = { j: () => step(1), k: () => step(-1), l: () => press("like"), h: () => press("hide"), w: () => press("why") };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("input, textarea, select, dialog")) return;
  const act = KEYS[event.key.toLowerCase()];
  if (act) {
    event.preventDefault();
    act();
  }
});

more();
