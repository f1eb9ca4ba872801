// Keys of a case that is to be settled: 1 and 2 decide the first text that is undecided, r shows what is hidden.
"use strict";
{
    const LABELS = { 1: "SAFE", 2: "TOXIC" };
    const typing = (target) => target.closest("input:not([type=radio]), textarea, select");

    const decide = (label) => {
        const sets = [...document.querySelectorAll(".decision")];
        const here = document.activeElement?.closest(".decision");
        const set = here ?? sets.find((one) => !one.querySelector(":checked")) ?? sets.at(-1);
        const choice = set?.querySelector(`[value="${label}"]`);
        if (!choice) return;
        choice.checked = true;
        const next = sets.find((one) => !one.querySelector(":checked"));
        (next ? next.querySelector("input") : document.getElementById("cause")).focus();
    };

    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
        const hidden = event.key === "r" && document.querySelector('[data-key="r"]');
        if (!hidden && !LABELS[event.key]) return;
        event.preventDefault();
        if (hidden) hidden.click();
        else decide(LABELS[event.key]);
    });
}
