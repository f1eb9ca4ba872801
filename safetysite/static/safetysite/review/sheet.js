// The form with one result: which of its texts is marked, so that the keys 1, 2, 3 and r mean that one.

export function asked(sheet) {
    return [...sheet.querySelectorAll(".part[data-asked]")];
}

export function isReady(sheet) {
    return asked(sheet).every((part) => part.querySelector(":checked"));
}

export function isHidden(part) {
    return Boolean(part?.querySelector(".masked"));
}

// Marks a text: the one given, else the first that still lacks a label; ``move`` puts the focus there as well.
export function markPart(sheet, move = false, part = next(sheet)) {
    for (const each of sheet.querySelectorAll(".part")) {
        each.classList.toggle("current", each === part);
        each.querySelectorAll("[type=radio]").forEach((radio, index) => setKey(radio, each === part && String(index + 1)));
        setKey(each.querySelector(".reveal"), false);
    }
    setKey(part?.querySelector(".reveal") ?? sheet.querySelector(".reveal"), "r");
    if (move) focusPart(sheet, part);
}

export function focusPart(sheet, part = sheet.querySelector(".part.current")) {
    part?.focus({ preventScroll: true });
    part?.scrollIntoView({ block: "nearest" });
}

export function moveBy(sheet, step) {
    const parts = [...sheet.querySelectorAll(".part")];
    const at = parts.findIndex((part) => part.classList.contains("current"));
    focusPart(sheet, parts[Math.max(0, Math.min(parts.length - 1, at + step))]);
}

// A text that was shown when its label was asked for stays so when the other one comes.
export function keepShown(before, after) {
    for (const place of after?.querySelectorAll(".part-text:has(.masked)") ?? []) {
        const shown = before?.querySelector(`#${place.id} .text-box`);
        if (shown) place.replaceChildren(shown);
    }
}

function next(sheet) {
    const parts = asked(sheet);
    return parts.find((part) => !part.querySelector(":checked")) ?? sheet.querySelector(".part.current") ?? parts[0];
}

function setKey(element, key) {
    if (!element) return;
    if (key) element.dataset.key = key;
    else delete element.dataset.key;
}
