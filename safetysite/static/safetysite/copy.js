// A button that copies a text of the page; where the clipboard is closed to pages, the text is marked instead.
"use strict";
document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy);
    const said = document.getElementById("copied");
    try {
        await navigator.clipboard.writeText(text.textContent);
        said.textContent = "Copied.";
    } catch {
        getSelection().selectAllChildren(text);
        said.textContent = "It is marked: copy it with Ctrl+C.";
    }
});
