// The desk: one result after the other. The next is fetched while this one is judged, and what is said goes to the outbox.

import { look, onLoss, watch, watchAhead } from "./lease.js";
import { outbox } from "./outbox.js";
import { fetchPart, home, loginAddress, parse } from "./server.js";
import { asked, focusPart, isHidden, isReady, keepShown, markPart, moveBy } from "./sheet.js";
import { forgetTyping, keepTyping, rememberTyping, restoreTyping } from "./typing.js";

const LONGEST_WAIT = 15_000; // milliseconds
const TOO_SOON = 250; // milliseconds: nobody has read a text sooner: such a key was meant for the one before
const desk = document.getElementById("desk");
const wait = document.getElementById("wait");
const said = document.getElementById("said");
const acts = document.querySelectorAll("form[data-act]");

let sheet = desk.querySelector("form.sheet");
let ahead = []; // fetched already, in order
let noMore = false; // nothing was left when last asked
let awaited = null; // the claim whose prompt was judged, and whose answer is not here yet
let lastVerdict = null; // the key of the newest one sent from this page
let shownAt = 0;
let fetching = false;
let tries = 0;
let timer = null;

start();

function start() {
    const sent = outbox.waiting().some((act) => act.claim === sheet.dataset.claim);
    if (sent) {
        clear("What you said of this one is still to be sent.");
    } else {
        settle();
        look();
    }
    outbox.addEventListener("answered", (event) => answered(event.detail));
    outbox.addEventListener("refused", (event) => refused(event.detail));
    outbox.addEventListener("empty", pump);
    outbox.addEventListener("change", () => sheet || pump());
    window.addEventListener("online", pump);
    document.addEventListener("visibilitychange", () => document.hidden || pump());
    onLoss(lost);
    rememberFolding();
    pump();
}

// Instructions that were folded away stay so, until there are new ones.
function rememberFolding() {
    for (const details of document.querySelectorAll("details[data-remember]")) {
        const name = `review-folded:${details.dataset.remember}`;
        details.open = !localStorage.getItem(name);
        details.addEventListener("toggle", () => {
            if (details.open) localStorage.removeItem(name);
            else localStorage.setItem(name, "1");
        });
    }
}

// What comes onto the desk, and what leaves it

function show(form) {
    sheet = form;
    desk.replaceChildren(sheet);
    htmx.process(sheet);
    wait.hidden = true;
    settle();
    focusPart(sheet);
    watch(sheet.dataset.claim, sheet.dataset.seconds);
}

function settle() {
    document.body.classList.remove("desk-empty");
    shownAt = performance.now();
    sheet.noValidate = true; // what lacks is said in our own words
    restoreTyping(sheet);
    markPart(sheet);
    for (const form of acts) {
        if (form.dataset.act !== "undo") form.action = `${address(sheet.dataset.claim)}${form.dataset.act}/`;
        form.closest("details")?.removeAttribute("open");
    }
}

function clear(why) {
    sheet = null;
    document.body.classList.add("desk-empty");
    desk.replaceChildren();
    tell(why);
    watch(null);
}

function tell(why, ...more) {
    wait.replaceChildren(why, ...more);
    wait.hidden = !why;
}

function leave() {
    if (sheet) forgetTyping(sheet.dataset.claim);
    awaited = null;
    noMore = false;
    if (ahead.length) {
        show(ahead.shift());
        watchAhead(ahead[0]?.dataset.claim);
    } else {
        clear("The next result is being fetched.");
    }
    pump();
}

// Fetches what is missing: the answer that belongs to the judged prompt, the result for the desk, or the one after it.
// Only once all is sent: a result whose verdict has not arrived is still ours to the server, and would come again.
async function pump() {
    if (!sheet && outbox.trouble) tell("The next result comes by itself, as soon as what waits is sent.");
    if (fetching || outbox.waiting().length) return;
    if (awaited) return fetchAnswer();
    if (sheet && (ahead.length || noMore)) return;
    const besides = sheet?.dataset.claim ?? "";
    const part = await fetchOne(desk.dataset.take, [["besides", besides]]);
    if (part) arrive(part, besides);
}

async function fetchAnswer() {
    const part = await fetchOne(address(awaited), []);
    if (!part?.matches("form.sheet")) return;
    keepShown(sheet, part);
    awaited = null;
    show(document.adoptNode(part));
    pump();
}

async function fetchOne(url, fields) {
    fetching = true;
    clearTimeout(timer);
    const answer = await fetchPart(url, fields);
    fetching = false;
    if (answer.kind === "done") {
        tries = 0;
        return parse(answer.html).body.firstElementChild;
    }
    if (!sheet || awaited) troubled(answer);
    if (answer.kind !== "refused") timer = setTimeout(pump, Math.min(LONGEST_WAIT, 1_000 * 2 ** tries++));
    return null;
}

function troubled(answer) {
    const link = Object.assign(document.createElement("a"), { href: home, textContent: "To all queues" });
    if (answer.kind === "out") Object.assign(link, { href: loginAddress, target: "_blank", textContent: "Log in" });
    if (answer.kind === "away") tell(`${answer.detail} The next result comes by itself, as soon as it can.`);
    else tell(`${answer.detail} `, link);
}

function arrive(part, besides) {
    if (!part.matches("form.sheet")) {
        noMore = true;
        if (!sheet) {
            wait.hidden = true;
            desk.replaceChildren(part);
            part.focus();
        }
    } else if (!sheet) {
        show(document.adoptNode(part));
        pump();
    } else if (besides === sheet.dataset.claim && part.dataset.claim !== besides) {
        ahead.push(document.adoptNode(part));
        watchAhead(part.dataset.claim);
    }
}

function lost(claims) {
    const before = ahead.length;
    ahead = ahead.filter((form) => !claims.includes(form.dataset.claim));
    if (ahead.length < before) pump();
}

// What is done with it

desk.addEventListener("submit", (event) => {
    if (event.submitter?.matches(".reveal")) return;
    event.preventDefault();
    sendVerdict();
});

desk.addEventListener("change", (event) => {
    keepTyping(sheet);
    if (!event.target.matches("[type=radio]")) return;
    say("");
    if (isReady(sheet) && "atOnce" in desk.dataset) sendVerdict();
    else markPart(sheet, true);
});

desk.addEventListener("input", () => keepTyping(sheet));

desk.addEventListener("focusin", (event) => {
    const part = event.target.closest(".part");
    if (part) markPart(sheet, false, part);
});

// Pressed too soon, or on a hidden text, a label says nothing.
desk.addEventListener("click", (event) => {
    if (!event.target.matches("[type=radio]")) return;
    const hidden = isHidden(event.target.closest(".part"));
    if (!hidden && performance.now() - shownAt > TOO_SOON) return;
    event.preventDefault();
    say(hidden ? "This text is hidden. r shows it, then judge it." : "That came with the new text. Once more, if it is meant.");
});

desk.addEventListener("htmx:afterSwap", (event) => {
    focusPart(sheet, event.target.closest(".part"));
    shownAt = performance.now();
});

function sendVerdict() {
    const missing = asked(sheet).find((part) => !part.querySelector(":checked"));
    if (awaited) return;
    if (missing) {
        focusPart(sheet, missing);
        say(`Say SAFE, TOXIC or UNSURE for the ${missing.dataset.asked} first.`);
        return;
    }
    const fields = [...new FormData(sheet)].filter(([name]) => !["csrfmiddlewaretoken", "key", "reviewer"].includes(name));
    const labels = fields.filter(([name]) => ["input", "output"].includes(name));
    const says = labels.map(([name, label]) => `${name === "input" ? "prompt" : "answer"} ${label}`).join(", ");
    const act = put("verdict", sheet.action, fields, `Your verdict (${says})`);
    if ("waits" in sheet.dataset) {
        awaited = act.claim;
        sheet.inert = true;
        say("Noted. One moment …");
    } else {
        lastVerdict = act.key;
        say(`${navigator.onLine && !outbox.trouble ? "Sent" : "Kept"}: ${says}. u takes it back.`);
        leave();
    }
}

function put(what, url, fields, says, claim = sheet.dataset.claim) {
    return outbox.add({ what, claim, url, fields, says, page: claim && address(claim) });
}

for (const form of acts) {
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        const { act } = form.dataset;
        if (act === "undo") return undo(form);
        if (!sheet || awaited) return say("There is no result on the desk just now.");
        const fields = [...new FormData(form)].filter(([name]) => ["reason", "to"].includes(name));
        put(act, form.action, fields, SAYS[act]);
        form.reset();
        say(`${SAYS[act]}.`);
        leave();
    });
}

const SAYS = {
    skip: "Skipped",
    escalate: "Escalated",
    park: "Kept for later",
    release: "Given back",
    hand: "Passed on",
    undo: "Taking a verdict back",
};

function undo(form) {
    put("undo", form.action, lastVerdict ? [["act", lastVerdict]] : [], SAYS.undo, null);
    lastVerdict = null;
    say("Taking it back …");
}

// What the server says to it

function answered({ act, data }) {
    if (act.what === "undo") return bringBack(data);
    if (act.what !== "verdict") return;
    if (data.status === "draft") keepSaying(data.message);
    if (act.claim !== awaited) return;
    say(data.message);
    if (data.status === "pending") return pump();
    lastVerdict = act.key;
    leave();
}

async function bringBack(data) {
    say(data.message);
    const part = await fetchOne(address(data.claim), []);
    if (!part?.matches("form.sheet")) return;
    if (sheet) ahead.unshift(sheet);
    ahead = ahead.filter((form) => form.dataset.claim !== part.dataset.claim);
    awaited = null;
    show(document.adoptNode(part));
    watchAhead(ahead[0]?.dataset.claim);
}

function refused({ act }) {
    say("");
    if (act.what === "verdict") rememberTyping(act.claim, act.fields);
    if (act.claim !== awaited) return;
    awaited = null;
    sheet.inert = false;
}

function keepSaying(text) {
    const notice = Object.assign(document.createElement("p"), { className: "notice notice-warning", textContent: text });
    document.getElementById("outbox").append(notice);
}

function say(text) {
    said.textContent = text;
}

function address(claim) {
    return desk.dataset.claims.replace("/0/", `/${claim}/`);
}

// Going from text to text

document.addEventListener("keydown", (event) => {
    if (!sheet || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("dialog, input, textarea, select, summary")) return;
    const step = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    moveBy(sheet, step);
});
document.addEventListener("keys:left", () => sheet && focusPart(sheet));
