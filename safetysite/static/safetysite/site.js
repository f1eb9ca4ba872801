// What every page does beside htmx itself: the CSRF token, errors in words, and no polling by pages nobody sees.
"use strict";
{
    const notices = () => document.getElementById("notices");
    const say = (text) => {
        const notice = document.createElement("p");
        notice.className = "notice notice-error";
        notice.textContent = text;
        notices()?.replaceChildren(notice);
    };

    document.addEventListener("htmx:configRequest", (event) => {
        const token = document.querySelector('meta[name="csrf-token"]');
        if (token) event.detail.headers["X-CSRFToken"] = token.content;
    });
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (document.hidden && event.target.closest(".live")) event.preventDefault();
    });
    // An error's page has one part with id "error"; that part is shown above the content, and nothing is swapped away.
    document.addEventListener("htmx:beforeSwap", (event) => {
        if (event.detail.xhr.status < 400) return;
        if (!event.detail.xhr.responseText.includes('id="error"')) {
            say(`The server answered ${event.detail.xhr.status}. Nothing was changed on this page; try again.`);
            return;
        }
        event.detail.shouldSwap = true;
        event.detail.isError = false;
        event.detail.target = notices();
        event.detail.swapOverride = "innerHTML";
        event.detail.selectOverride = "#error";
    });
    document.addEventListener("htmx:afterRequest", (event) => {
        if (event.detail.successful) notices()?.querySelector(".notice-offline")?.remove();
    });
    document.addEventListener("htmx:sendError", () => {
        say("The server cannot be reached. What you see may be out of date; it is tried again by itself.");
        notices()?.firstElementChild?.classList.add("notice-offline");
    });
}
