// The HTTP API. Failures become ApiError with the server's own words.
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const KEY = "zhiliu.key";

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export async function call(path, options = {}) {
  const headers = { accept: "application/json", ...options.headers };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["x-api-key"] = key;
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { ...options, headers });
  } catch (error) {
    throw new ApiError(0, String(error.message ?? error));
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, body?.detail ?? answer.statusText);
  if (body === null) throw new ApiError(answer.status, answer.statusText);
  return body;
}
