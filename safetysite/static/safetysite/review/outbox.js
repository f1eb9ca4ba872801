// What a reviewer did stays here, in the browser's own store, until the server has answered for good. It survives a cut
// network, a reload and a closed window; each act has a key, so that being sent twice it counts once.

import { send, user } from "./server.js";

const PREFIX = `review-outbox:${user}:`;
const LONGEST_WAIT = 30_000; // milliseconds

class Outbox extends EventTarget {
    #unstored = new Map(); // when the browser's store is full
    #busy = false;
    #timer = null;
    #tries = 0;
    trouble = null; // {kind, detail} of the last attempt, null while all is well

    constructor() {
        super();
        window.addEventListener("online", () => this.flush());
        window.addEventListener("storage", (event) => event.key?.startsWith(PREFIX) && this.#tell("change"));
        document.addEventListener("visibilitychange", () => !document.hidden && this.trouble && this.flush());
        if (this.waiting().length) queueMicrotask(() => this.flush());
    }

    // An act is {what, claim, url, fields: [[name, value]…], says}; it is stored before anything is sent.
    add(act) {
        const key = newKey();
        const kept = { ...act, key, at: Date.now(), fields: [["key", key], ["reviewer", user], ...act.fields] };
        this.#store(kept);
        this.#tell("change");
        this.flush();
        return kept;
    }

    waiting() {
        return this.#all().filter((act) => !act.refused);
    }

    refused() {
        return this.#all().filter((act) => act.refused);
    }

    forget(key) {
        localStorage.removeItem(PREFIX + key);
        this.#unstored.delete(key);
        this.#tell("change");
    }

    // Sends what waits, in order. Whatever may work later is tried again by itself; the others wait behind it.
    async flush() {
        if (this.#busy) return;
        this.#busy = true;
        clearTimeout(this.#timer);
        let next;
        while ((next = this.waiting()[0]) && (await this.#deliver(next)));
        this.#busy = false;
        if (this.waiting().length) {
            this.#timer = setTimeout(() => this.flush(), Math.min(LONGEST_WAIT, 1_000 * 2 ** this.#tries++));
        } else {
            this.#tell("empty");
        }
    }

    async #deliver(act) {
        const answer = await send(act.url, act.fields);
        if (answer.kind === "away" || answer.kind === "out") {
            this.trouble = answer;
            this.#tell("change");
            return false;
        }
        this.trouble = null;
        this.#tries = 0;
        if (answer.kind === "done") {
            this.forget(act.key);
            this.#tell("answered", { act, data: answer.data });
        } else {
            this.#store({ ...act, refused: answer.detail });
            this.#tell("refused", { act });
            this.#tell("change");
        }
        return true;
    }

    #all() {
        const kept = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
        const acts = kept.map((name) => read(localStorage.getItem(name))).filter(Boolean);
        return [...acts, ...this.#unstored.values()].sort((one, other) => one.at - other.at);
    }

    #store(act) {
        try {
            localStorage.setItem(PREFIX + act.key, JSON.stringify(act));
        } catch {
            this.#unstored.set(act.key, act);
        }
    }

    get isFull() {
        return this.#unstored.size > 0;
    }

    #tell(name, detail) {
        this.dispatchEvent(new CustomEvent(name, { detail }));
    }
}

function read(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

// crypto.randomUUID is only there over TLS and on the machine itself; this is everywhere.
function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const outbox = new Outbox();
