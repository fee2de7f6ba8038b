// The why panel: the decision log's answer in words.
import { ApiError, call } from "./api.js";
import { boot, make, t } from "./boot.js";
import { titleOf } from "./card.js";

const number = (value, digits = 2) => new Intl.NumberFormat(boot.lang, { maximumSignificantDigits: digits }).format(value);
const percent = (value) => new Intl.NumberFormat(boot.lang, { style: "percent", maximumFractionDigits: 1 }).format(value);
const known = (key, fallback) => (key in boot.strings ? t(key) : fallback);

function signed(value) {
  const text = new Intl.NumberFormat(boot.lang, { maximumFractionDigits: 3, signDisplay: "exceptZero" }).format(value);
  return make("span", { class: value < 0 ? "minus" : "plus" }, text);
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}

function predictions(heads) {
  const rows = heads.map(({ head, value, contribution }) => {
    const chance = head !== "watch_ms";
    const shown = chance ? percent(value) : t("seconds", { n: number(value / 1000, 3) });
    return make("tr", {},
      make("th", { scope: "row" }, known(`head_${head}`, head)),
      make("td", {}, chance ? make("meter", { min: 0, max: 1, value, "aria-hidden": "true" }) : ""),
      make("td", {}, shown),
      make("td", {}, signed(contribution)));
  });
  return section(t("why_predictions"), make("table", {}, make("tbody", {}, ...rows)), make("small", {}, t("why_prediction_note")));
}

function pairs(entries) {
  return make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function body(answer) {
  const reasons = answer.reasons.length
    ? make("ul", {}, ...answer.reasons.map((reason) => make("li", {}, reason.text)))
    : make("p", {}, t("why_no_reason"));
  const parts = [section(t("why_reasons"), reasons)];
  if (answer.sources.length) {
    const names = answer.sources.map((name) => make("li", {}, known(`source_${name}`, name)));
    parts.push(section(t("why_sources"), make("ul", {}, ...names)));
  }
  if (answer.heads.length) parts.push(predictions(answer.heads));
  if (answer.attributions.length) {
    const rows = answer.attributions.map(({ feature, effect }) =>
      make("tr", {}, make("th", { scope: "row" }, known(`group_${feature}`, feature)), make("td", {}, signed(effect))));
    parts.push(section(t("why_attributions"), make("table", {}, make("tbody", {}, ...rows))));
  }
  parts.push(section(t("why_facts"), pairs([
    [t("why_model"), answer.model || t("no_model")],
    [t("why_policy"), answer.policy],
    [t("why_slot"), String(answer.slot + 1)],
    [t("why_propensity"), percent(answer.propensity)],
    [t("why_score"), number(answer.score, 4)],
    [t("why_time"), new Date(answer.time_ms).toLocaleString(boot.lang)],
  ])));
  const features = Object.entries(answer.features);
  if (features.length) {
    const rows = features.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, number(value, 4))));
    parts.push(make("details", {}, make("summary", {}, t("why_features")), make("table", {}, make("tbody", {}, ...rows))));
  }
  return parts;
}

export async function showWhy(item, request_id) {
  const dialog = document.getElementById("why");
  const close = make("button", { type: "button" }, t("close"));
  close.addEventListener("click", () => dialog.close());
  const content = make("div", { class: "why-body" }, make("p", { role: "status" }, t("loading")));
  const title = make("h2", { id: "why-title" }, t("why_title", { title: titleOf(item.video) }));
  dialog.replaceChildren(make("header", {}, title, close), content);
  dialog.showModal();
  try {
    const path = `/feed/${encodeURIComponent(request_id)}/${encodeURIComponent(item.video.video_id)}/why`;
    content.replaceChildren(...body(await call(path)));
  } catch (error) {
    const pending = error instanceof ApiError && error.status === 404;
    content.replaceChildren(make("p", { role: "alert" }, pending ? t("why_pending") : `${t("error_title")} ${error.message}`));
  }
}
