// One video as a card. All text goes in as text nodes.
import { make, t } from "./boot.js";

const ICONS = {
  like: "M12 20s-7-4.6-9-9c-1.4-3.2.6-6.5 3.8-6.5 2.3 0 4 1.4 5.2 3.2 1.2-1.8 2.9-3.2 5.2-3.2 3.2 0 5.2 3.3 3.8 6.5-2 4.4-9 9-9 9z",
  hide: "M6 6l12 12M18 6L6 18",
  why: "M9.5 9a2.6 2.6 0 1 1 3.6 2.4c-.8.4-1.1.9-1.1 1.9M12 17.2v.1",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function clock(ms) {
  const s = Math.round(ms / 1000);
  const hours = Math.floor(s / 3600);
  const rest = [Math.floor((s % 3600) / 60), s % 60];
  const parts = hours ? [hours, ...rest] : rest;
  return parts.map((part, i) => (i ? String(part).padStart(2, "0") : String(part))).join(":");
}

export const titleOf = (video) => video.title || t("video", { id: video.video_id });

/** A number is an id without a name; a word is already one. */
const named = (key, id) => (/^\d+$/.test(id) ? t(key, { id }) : id);

function list(name, texts) {
  return texts.length ? make("ul", { class: name }, ...texts.map((text) => make("li", {}, text))) : null;
}

export function card(item, number, actions) {
  const { video, reasons } = item;
  const title = titleOf(video);
  const id = `v${number}`;
  const language = video.language && video.language !== "und" ? { lang: video.language } : {};
  const like = make("button", { type: "button", "aria-pressed": "false", "data-do": "like" }, icon("like"), make("span", {}, t("like")));
  const hide = make("button", { type: "button", "data-do": "hide" }, icon("hide"), t("hide"));
  const why = make("button", { type: "button", class: "push", "data-do": "why" }, icon("why"), t("why"));
  const element = make(
    "article",
    {
      class: "card", id, tabIndex: -1, "aria-labelledby": `${id}-title`, "aria-posinset": String(number), "aria-setsize": "-1",
      "data-video": video.video_id,
    },
    make("h2", { id: `${id}-title`, ...language }, title),
    make("p", { class: "meta" },
      make("span", {}, named("author", video.author_id)),
      video.duration_ms > 0 ? make("span", {}, t("duration", { time: clock(video.duration_ms) })) : null),
    list("topics", video.tags.slice(0, 5).map((tag) => named("topic", tag))),
    list("reasons", reasons.map((reason) => reason.text)),
    make("div", { class: "actions" }, like, hide, why),
  );
  like.addEventListener("click", () => {
    const on = like.getAttribute("aria-pressed") !== "true";
    like.setAttribute("aria-pressed", String(on));
    like.querySelector("span").textContent = t(on ? "liked" : "like");
    actions.like(item, on);
  });
  hide.addEventListener("click", () => actions.hide(item, element));
  why.addEventListener("click", () => actions.why(item));
  return element;
}
