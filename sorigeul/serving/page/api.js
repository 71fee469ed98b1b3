// Requests to the server, which speaks OpenAI's API.

const KEY = "api-key";

// The page may be served below a path, so addresses are relative to it.
export function address(path) {
  return new URL(path, document.baseURI);
}

export function apiKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setApiKey(key) {
  sessionStorage.setItem(KEY, key);
}

export class ApiError extends Error {
  // status 0: no answer at all; `retryAfter` in seconds
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export async function models() {
  let response;
  try {
    response = await fetch(address("v1/models"), { headers: authorization() });
  } catch {
    throw new ApiError(0, "");
  }
  if (!response.ok) throw new ApiError(response.status, messageOf(await response.text()));
  return (await response.json()).data.map((model) => model.id);
}

function authorization() {
  return apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {};
}

// Sends a file; `on.upload(share)` while it is sent, `on.segment(segment)` for each piece of text, and
// the last event as the result. XMLHttpRequest, since fetch does not tell how much it has sent.
export function transcribe(file, name, { model, terms }, on, signal) {
  const form = new FormData();
  form.append("model", model);
  for (const term of terms) form.append("keywords[]", term);
  for (const wish of ["stream", "peaks", "attention"]) form.append(wish, "true");
  form.append("file", file, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/audio/transcriptions"));
    for (const [header, value] of Object.entries(authorization())) request.setRequestHeader(header, value);
    const events = eventReader((event) => {
      if (event.error) reject(new ApiError(500, event.error.message));
      else if (event.segment) on.segment(event.segment);
      else if (event.type === "transcript.text.done") resolve(event);
    });
    request.upload.onprogress = (event) => on.upload(event.loaded / event.total);
    request.onprogress = () => request.status === 200 && events(request.responseText);
    request.onload = () => {
      if (request.status === 200) events(request.responseText);
      const retryAfter = Number(request.getResponseHeader("retry-after")) || 0;
      // Without effect after the last event, which has resolved the promise
      reject(new ApiError(request.status, messageOf(request.responseText), retryAfter));
    };
    request.onerror = request.onabort = () => reject(new ApiError(0, ""));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// Takes all text so far, and tells of the events that are new and whole
function eventReader(tell) {
  let read = 0;
  return (received) => {
    for (let end; (end = received.indexOf("\n\n", read)) >= 0; read = end + 2) {
      const data = received.slice(read, end).replace(/^data: /, "");
      if (data.startsWith("{")) tell(JSON.parse(data));
    }
  };
}

function messageOf(body) {
  try {
    return JSON.parse(body).error.message;
  } catch {
    return "";
  }
}
