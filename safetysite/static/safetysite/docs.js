// The operations of the REST API, from its own document; what is tried out is asked with the visitor's session or a token.
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => {
    const theme = document.documentElement.dataset.theme;
    document.documentElement.classList.toggle("dark-mode", theme === "dark" || (theme === "auto" && dark.matches));
};
dress();
dark.addEventListener("change", dress);
SwaggerUIBundle({
    url: "/api/schema/",
    dom_id: "#docs",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    validatorUrl: null,
    deepLinking: true,
    docExpansion: "none", // unfolded, more than some 120 operations are not drawn beyond the first few
    filter: true,
    requestInterceptor: (request) => {
        const own = new URL(request.url, location.href).origin === location.origin;
        const token = document.querySelector('meta[name="csrf-token"]').content;
        if (own && request.method && request.method !== "GET") request.headers["X-CSRFToken"] = token;
        return request;
    },
});
