// Loaded before the page is drawn, so that a chosen theme does not flash. "auto" follows the system.
"use strict";
{
    const THEMES = ["auto", "light", "dark", "grey"];
    const chosen = () => {
        const theme = localStorage.getItem("theme");
        return THEMES.includes(theme) ? theme : "auto";
    };
    const show = () => {
        document.documentElement.dataset.theme = chosen();
        for (const select of document.querySelectorAll("select.theme-switch")) select.value = chosen();
    };
    show();
    document.addEventListener("DOMContentLoaded", show);
    document.addEventListener("change", (event) => {
        if (!event.target.matches("select.theme-switch")) return;
        localStorage.setItem("theme", event.target.value);
        show();
    });
    window.addEventListener("storage", show);
}
