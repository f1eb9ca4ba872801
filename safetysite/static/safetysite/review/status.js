// Says what waits to be sent, and what the server refused and how to go on.

import { outbox } from "./outbox.js";
import { loginAddress } from "./server.js";

const PATIENCE = 1_500; // milliseconds: what is sent sooner is not worth a word
const place = document.getElementById("outbox");
let said = "";

const status = element("p", { className: "notice notice-warning", role: "status", hidden: true });
const refusals = element("div", { role: "alert" });
place.append(status, refusals);

outbox.addEventListener("change", show);
outbox.addEventListener("empty", show);
setInterval(show, 1_000);
show();
window.addEventListener("beforeunload", (event) => outbox.isFull && event.preventDefault());

function show() {
    showWaiting();
    const refused = outbox.refused();
    const shown = refused.map((act) => act.key).join();
    if (refusals.dataset.shown === shown) return;
    refusals.dataset.shown = shown;
    refusals.replaceChildren(...refused.map(refusal));
}

function showWaiting() {
    const waiting = outbox.waiting();
    const late = waiting.length && (outbox.trouble || Date.now() - waiting[0].at > PATIENCE);
    const text = late ? sentence(waiting.length) : "";
    if (text === said) return;
    said = text;
    status.hidden = !text;
    status.replaceChildren(text);
    if (outbox.trouble?.kind === "out" && text) {
        const link = element("a", { href: loginAddress, target: "_blank", rel: "noopener", textContent: "Log in" });
        status.append(" ", link, ".");
    }
}

function sentence(number) {
    const what = `${number} waiting to be sent, kept in this browser. `;
    const trouble = outbox.trouble?.detail ?? (navigator.onLine ? "" : "You are offline.");
    const full = outbox.isFull ? " The browser's store is full: do not close this window before all is sent." : "";
    return what + trouble + (outbox.trouble?.kind === "out" ? "" : " It is tried again by itself.") + full;
}

function refusal(act) {
    const box = element("div", { className: "notice notice-error refusal" });
    box.append(element("p", { textContent: `${act.says}: not accepted. ${act.refused}` }));
    const ways = element("p", { className: "toolbar" });
    if (act.page) ways.append(element("a", { className: "button button-small", href: act.page, textContent: "Open the result" }));
    const away = element("button", { type: "button", className: "button button-small", textContent: "Dismiss" });
    away.addEventListener("click", () => outbox.forget(act.key));
    ways.append(away);
    box.append(ways);
    return box;
}

function element(name, fields) {
    return Object.assign(document.createElement(name), fields);
}
