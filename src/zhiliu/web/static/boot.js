// What the server put into the page: language, strings, who is watching.
export const boot = JSON.parse(document.getElementById("boot").textContent);

const loaded = performance.now();

/** The server's clock, ms UTC: right even when this device's is not, or when the server replays another day. */
export const now = () => Math.round(boot.now_ms + performance.now() - loaded);

/** A string of the page's language with {names} filled in. */
export function t(key, values = {}) {
  return (boot.strings[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** An element with properties and children; strings become text nodes, never HTML. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const hex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((b) => b.toString(16).padStart(2, "0")).join("");

/** A new unique name, also where crypto.randomUUID is missing (plain http on a LAN). */
export const unique = () => hex(16);

function session() {
  try {
    const kept = localStorage.getItem("zhiliu.session") ?? unique();
    localStorage.setItem("zhiliu.session", kept);
    return kept;
  } catch {
    return unique(); // storage is off: a guest for this page only
  }
}

/** Who is watching, as the API wants it. */
export const who = boot.person_id ? { person_id: boot.person_id } : { session_id: session() };
