/**
 * Requests to the admin port's API, with the token that the user has typed.
 *
 * The token is kept for this tab only, and is sent in a header. A WebSocket and an `<audio>` element can send no
 * header: they get a ticket in their URL, which is good for one request.
 */

const BASE = new URL(".", document.baseURI); // a proxy may have put the admin port under a prefix
const KEY = "mediaserver.token";

let token = sessionStorage.getItem(KEY) ?? "";
let me = { name: "", scopes: [] };
let paths = new Set();

/** An answer that is an error. `status` is its HTTP status, 0 where no answer came. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The URL of a path of the API, given without any percent-encoding, and of a query. */
export function apiUrl(path, query = {}) {
  const url = new URL(path.slice(1).split("/").map(encodeURIComponent).join("/"), BASE);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url;
}

async function send(method, path, { query, body } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const sent = body === undefined ? undefined : JSON.stringify(body);
  try {
    return await fetch(apiUrl(path, query), { method, headers, body: sent, cache: "no-store" });
  } catch {
    throw new ApiError(0, "The server does not answer.");
  }
}

/** The JSON of an answer, null where it has none. ApiError for an error. */
function parse(status, statusText, text) {
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // A proxy in between may answer an error with a page of its own.
  }
  if (status < 200 || status > 299) throw new ApiError(status, answer?.error ?? `${status} ${statusText}`);
  return answer;
}

/** Make a request; returns the JSON of the answer, null where it has none. ApiError for an error. */
export async function request(method, path, options) {
  const response = await send(method, path, options);
  return parse(response.status, response.statusText, await response.text());
}

/**
 * Upload a file by PUT; returns the JSON of the answer. ApiError for an error. `onprogress` gets the share of the file
 * that was sent, from 0 to 1, which `fetch` would not tell.
 */
export function upload(path, { query, file, onprogress }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", apiUrl(path, query));
    if (token) sending.setRequestHeader("Authorization", `Bearer ${token}`);
    sending.upload.addEventListener("progress", ({ loaded, total }) => onprogress(total ? loaded / total : 1));
    sending.addEventListener("load", () => {
      try {
        resolve(parse(sending.status, sending.statusText, sending.responseText));
      } catch (error) {
        reject(error);
      }
    });
    sending.addEventListener("error", () => reject(new ApiError(0, "The server does not answer.")));
    sending.send(file);
  });
}

/** The status and the text of an answer that is no JSON, whatever the status is. */
export async function requestText(path) {
  const response = await send("GET", path);
  return { status: response.status, text: await response.text() };
}

/** All entries of a list that comes by pages: at most `pages` of them. Returns them and how many there are. */
export async function requestAll(path, key, { limit = 500, pages = 10 } = {}) {
  const found = [];
  let answer = null;
  let after = "";
  do {
    answer = await request("GET", path, { query: after ? { limit, after } : { limit } });
    found.push(...answer[key]);
    after = answer.next;
    pages -= 1;
  } while (after && pages > 0);
  return { found, total: answer.total, first: answer };
}

/** A URL for one request that can send no header, within half a minute. */
export async function ticketUrl(path, query = {}) {
  if (!token) return apiUrl(path, query);
  const { ticket } = await request("POST", "/v1/tickets", { body: { path } });
  return apiUrl(path, { ...query, ticket });
}

/** A WebSocket to a path of the API. */
export async function openSocket(path, query) {
  const url = await ticketUrl(path, query);
  url.protocol = url.protocol.replace("http", "ws");
  return new WebSocket(url);
}

/** Close a WebSocket, if there is one. While it connects, browsers log an error where it is closed at once. */
export function closeSocket(socket) {
  if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close());
  else if (socket?.readyState === WebSocket.OPEN) socket.close();
}

/** Use a token from now on, "" for none. ApiError where it is wrong. */
export async function signIn(given) {
  token = given;
  me = await request("GET", "/v1/me");
  paths = new Set(Object.keys((await request("GET", "/v1/openapi.json")).paths));
  if (given) sessionStorage.setItem(KEY, given);
  return me;
}

/** Use the token that this tab has already, if any. */
export function signInAgain() {
  return signIn(token);
}

/** Forget the token. */
export function signOut() {
  sessionStorage.removeItem(KEY);
  token = "";
}

/** Whether a token is in use. */
export function hasToken() {
  return token !== "";
}

/** Whether the token has a scope. */
export function can(scope) {
  return me.scopes.includes(scope);
}

/** Whether this server has a path of the API, named as its description names it. */
export function has(path) {
  return paths.has(path);
}
