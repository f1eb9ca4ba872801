// How long the result stays here: counted down each second, and made whole by the page's poll while somebody is at work.

const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel", "scroll"];
const live = document.getElementById("live");
const beat = document.getElementById("beat");
let ends = 0;

for (const sign of SIGNS) document.addEventListener(sign, noteWork, { passive: true, capture: true });
document.addEventListener("visibilitychange", () => document.hidden || look());
live.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) beat.elements.active.value = "";
});
live.addEventListener("htmx:afterSwap", readEnd);
setInterval(count, 1_000);
readEnd();

function noteWork() {
    beat.elements.active.value = "1";
}

// Which results the poll speaks for, and asks at once about a new one.
export function watch(claim, seconds) {
    beat.elements.claim.value = claim ?? "";
    noteWork();
    const lease = live.querySelector(".lease");
    if (lease && seconds) {
        lease.dataset.seconds = seconds;
        lease.classList.remove("lease-over");
        readEnd();
    } else {
        look();
    }
}

export function watchAhead(claim) {
    beat.elements.ahead.value = claim ?? "";
}

export function look() {
    htmx.trigger(live, "look");
}

// Calls back with the numbers of results that are no longer held.
export function onLoss(callback) {
    live.addEventListener("htmx:afterSwap", () => {
        const lost = live.querySelector("[data-lost]")?.dataset.lost;
        if (lost) callback(lost.split(" "));
    });
}

function readEnd() {
    const seconds = live.querySelector(".lease")?.dataset.seconds;
    ends = seconds ? Date.now() + 1_000 * seconds : 0;
    count();
}

function count() {
    const lease = live.querySelector(".lease[data-seconds]");
    if (!lease) return;
    const left = Math.max(0, Math.round((ends - Date.now()) / 1_000));
    lease.textContent = `yours for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    lease.classList.toggle("lease-short", left < 60);
}
