// What was chosen and typed for a result and not sent yet: kept in the browser, so that a reload loses no word of it.

import { user } from "./server.js";

const PREFIX = `review-typing:${user}:`;
const KEPT = 2 * 24 * 3_600_000; // milliseconds
const OURS = ["input", "output", "category", "note"];

for (const name of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
    if (!(read(name)?.at > Date.now() - KEPT)) localStorage.removeItem(name);
}

export function keepTyping(sheet) {
    rememberTyping(sheet.dataset.claim, [...new FormData(sheet)]);
}

export function rememberTyping(claim, fields) {
    const ours = fields.filter(([name]) => OURS.includes(name));
    try {
        localStorage.setItem(PREFIX + claim, JSON.stringify({ at: Date.now(), fields: ours }));
    } catch {
        // The store is full; the words are still on the page.
    }
}

export function forgetTyping(claim) {
    localStorage.removeItem(PREFIX + claim);
}

export function restoreTyping(sheet) {
    for (const [name, value] of read(PREFIX + sheet.dataset.claim)?.fields ?? []) {
        const field = [...sheet.elements].find((each) => each.name === name && (each.type === "textarea" || each.value === value));
        if (!field || !value) continue;
        if (field.type === "textarea") field.value = value;
        else if (field.type !== "hidden") field.checked = true;
        const folded = field.closest("details");
        if (folded) folded.open = true;
    }
}

function read(name) {
    try {
        return JSON.parse(localStorage.getItem(name));
    } catch {
        return null;
    }
}
