// Asking the server, and telling apart what came of it: done, refused for good, to be tried again, or logged out.

const PATIENCE = 30_000; // milliseconds
const about = document.getElementById("outbox").dataset;
const meta = document.querySelector('meta[name="csrf-token"]');

export const user = about.user;
export const home = about.home;
export const loginAddress = about.login;

// Sends fields and answers {kind: "done", data} | {kind: "refused", code, detail} | {kind: "away" | "out", detail}.
export async function send(url, fields) {
    const answer = await post(url, fields, "application/json");
    if (!answer.response) return answer;
    const { response } = answer;
    const data = isJSON(response) ? await response.json().catch(() => null) : null;
    if (response.ok && data) return { kind: "done", data };
    if (data?.code === "other_person") return { kind: "out", detail: data.detail };
    if (data && response.status < 500 && response.status !== 429) return { kind: "refused", ...data };
    if ([400, 413].includes(response.status)) return { kind: "refused", code: "unreadable", detail: TOO_MUCH };
    return away(response.status);
}

// The same for a part of a page: {kind: "done", html}.
export async function fetchPart(url, fields) {
    const answer = await post(url, fields, "text/html");
    if (!answer.response) return answer;
    const { response } = answer;
    const html = await response.text().catch(() => null);
    if (html === null) return { kind: "away", detail: OFFLINE };
    if (response.ok) return { kind: "done", html };
    if (response.status >= 500 || response.status === 429) return away(response.status);
    const error = parse(html).querySelector("#error");
    return { kind: "refused", code: "", detail: error?.textContent.trim() ?? `The server answered ${response.status}.` };
}

export function parse(html) {
    return new DOMParser().parseFromString(html, "text/html");
}

export const OFFLINE = "The server cannot be reached.";
const TOO_MUCH = "This is more than the server takes; a note has at most 10,000 characters. Shorten it and send it again.";

async function post(url, fields, accept, again = false) {
    const headers = { "X-CSRFToken": meta.content, Accept: accept, "HX-Request": "true" };
    const options = { method: "POST", body: new URLSearchParams(fields) };
    const response = await ask(url, { ...options, headers });
    if (!response) return { kind: "away", detail: OFFLINE };
    if (isLogin(response)) return LOGGED_OUT;
    // A new login has a new token; with it the same is sent once more.
    if (response.status === 403 && !isJSON(response) && !again) {
        return (await renewToken()) ?? post(url, fields, accept, true);
    }
    return { response };
}

async function ask(url, options) {
    try {
        return await fetch(url, { ...options, redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
    } catch {
        return null;
    }
}

async function renewToken() {
    const response = await ask(home, { headers: { Accept: "text/html" } });
    if (!response) return { kind: "away", detail: OFFLINE };
    if (isLogin(response)) return LOGGED_OUT;
    const page = parse(await response.text());
    if (page.getElementById("outbox")?.dataset.user !== user) {
        return { kind: "out", detail: "Somebody else is logged in here now. Log in as yourself to send what waits." };
    }
    meta.content = page.querySelector('meta[name="csrf-token"]').content;
    return null;
}

const LOGGED_OUT = { kind: "out", detail: "You are logged out. Log in again, and this page goes on." };

function isLogin(response) {
    return response.type === "opaqueredirect" || response.status === 401;
}

function isJSON(response) {
    return response.headers.get("Content-Type")?.startsWith("application/json");
}

function away(status) {
    return { kind: "away", detail: `The server answered ${status}.` };
}
