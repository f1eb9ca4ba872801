// Keys press what stands on the page: what has data-key="s" is pressed by s, and data-key="c 1" by 1 once c was pressed.

const FIELDS = "textarea, select, input:not([type=hidden], [type=radio], [type=checkbox], [type=submit])";
const ACTS_ITSELF = "button, a, summary, input, select, textarea";
let prefix = "";

document.body.classList.add("has-keys");

document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    const at = event.target;
    if (at.matches(FIELDS)) {
        if (event.key === "Escape") leave(at);
        return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && at.matches(ACTS_ITSELF) && !at.matches("[type=radio], [type=checkbox]")) return;
    const key = event.shiftKey && event.key.length === 1 ? event.key : named(event.key);
    if (inPrefix(key) || press(key)) event.preventDefault();
});

document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
});

document.addEventListener("pointerdown", () => setPrefix(""));

// With CapsLock on, a letter is still the same key.
function named(key) {
    return key.length === 1 ? key.toLowerCase() : key;
}

function inPrefix(key) {
    if (!prefix) return false;
    if (find(`${prefix} ${key}`)) return press(`${prefix} ${key}`);
    const ends = ["Escape", "Enter", prefix].includes(key);
    setPrefix("");
    return ends;
}

function press(key) {
    const found = find(key);
    if (!found) return false;
    if (found.matches("summary")) {
        open(found);
    } else if (found.matches(FIELDS)) {
        found.focus();
    } else {
        found.click();
    }
    if (document.querySelector(`[data-key^="${CSS.escape(key)} "]`)) setPrefix(key);
    return true;
}

function open(summary) {
    const details = summary.parentElement;
    details.open = true;
    (details.querySelector(FIELDS) ?? summary).focus();
}

// Of several with the same key the first that can be seen and used; what is told to a key goes nowhere else.
function find(key) {
    const all = document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`);
    return [...all].find((each) => !each.disabled && !each.closest("[inert]") && seen(each));
}

// What folds away may be opened by its key, and what is in it is found once it is open.
function seen(element) {
    return element.checkVisibility({ contentVisibilityAuto: true });
}

function setPrefix(key) {
    prefix = key;
    document.body.dataset.prefix = key;
}

function leave(field) {
    field.blur();
    const around = field.closest("details.act");
    if (around) around.open = false;
    field.dispatchEvent(new CustomEvent("keys:left", { bubbles: true }));
}
