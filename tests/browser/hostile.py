"""Texts that attack whoever shows them: one list for every page that shows texts from outside."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from playwright.sync_api import Page

# What a payload does when it runs; no page of ours does.
RUNS = "window.hostileRan=1"
ASKS = "/hostile-request"

MARKUP = (
    "<script>{run}</script>",
    "<ScRiPt src='{ask}.js'></sCrIpT>",
    "</textarea></title></style></script><script>{run}</script>",
    '"><script>{run}</script>',
    "'><img src=x onerror={run}>",
    '<img src="{ask}.png" onerror="{run}">',
    "<svg onload={run}>",
    "<svg><animate onbegin={run} attributeName=x dur=1s>",
    "<svg><script>{run}</script></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror={run}>",
    '<iframe srcdoc="<script>parent.{run}</script>"></iframe>',
    "<object data='javascript:{run}'></object>",
    '<a href="javascript:{run}" autofocus onfocus="{run}">click</a>',
    "<details open ontoggle={run}>x</details>",
    "<body onload={run}>",
    '<meta http-equiv="refresh" content="0;url={ask}">',
    '<link rel="stylesheet" href="{ask}.css">',
    '<form action="{ask}"><input type=submit></form>',
    '<div hx-get="{ask}" hx-trigger="load"></div>',
    '<div hx-on:click="{run}" hx-vals="js:{{a: {run}}}" data-hx-post="{ask}"></div>',
    '<base href="https://evil.example/">',
    "<style>@import '{ask}'; * {{ display: none }}</style>",
    '<x style="position:fixed;inset:0;background:red;z-index:9999">',
    "<!--><img src=x onerror={run}>-->",
    "<![CDATA[<script>{run}</script>]]>",
    "&lt;script&gt;{run}&lt;/script&gt;",
    "&#60;img src=x onerror={run}&#62;",
    "<noscript><p title='</noscript><img src=x onerror={run}>'>",
    "<template><script>{run}</script></template>",
)
TEMPLATES = (
    "{{{{ request }}}}{{% include 'admin/base.html' %}}",
    "{{% load static %}}{{% csrf_token %}}{{{{ settings.SECRET_KEY }}}}",
    "{{{{constructor.constructor('{run}')()}}}}",
    "${{{run}}} #{{{run}}} <%= {run} %> {{#with x}}",
    "{{{{ ''.__class__.__mro__ }}}} %s %(x)s {{0}} {{x!r}}",
)
MARKDOWN = (
    "[x](javascript:{run}) ![x]({ask}.png)",
    "[x](data:text/html,<script>{run}</script>)",
    "# big\n\n| a | b |\n|---|---|\n<script>{run}</script>\n```html\n<b>\n```",
)
FORMULAS = ('=HYPERLINK("{ask}","x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1+1)", "\t=1+1", '=IMPORTXML("{ask}")')
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = "\u00ad\u034f\u115f\u180e\u200b\u200c\u200d\u2028\u2029\u2060\u2063\ufe0f\ufeff\U000e0041\U000e007f\U000e01ef"
CONTROLS = "".join(chr(point) for point in (*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)))
ANSI = (
    "\x1b[2J\x1b[H",
    "\x1b[31;1m",
    "\x1b]0;title\x07",
    "\x1b]8;;{ask}\x1b\\link\x1b]8;;\x1b\\",
    "\x9b5m",
    "\x1bP$q\x1b\\",
)
WIDE = (
    "W" * 5000,
    "\N{COMBINING GRAVE ACCENT}\N{COMBINING LONG STROKE OVERLAY}" * 300,
    "﷽" * 200,
    "\n" * 2000,
    "\t" * 500,
)
WORDS = ("hello", "how do I", "مرحبا", "你好", "naïve", "👩\u200d👩\u200d👧", "ok")


def hostile_payloads(count: int = 10_000, *, large: int = 4, seed: int = 3) -> Iterator[str]:
    """``count`` texts without NUL and lone surrogates, the same each time; ``large`` of them of about 1 MB."""
    chance = Random(seed)
    every = max(count // large, 1) if large else 0
    for number in range(count):
        payload = _payload(chance)
        if every and number % every == every - 1:
            payload = (payload + "\n") * (1_000_000 // (len(payload) + 1) + 1)
        yield f"{payload} #{number}"


def assert_nothing_ran(page: Page) -> None:
    assert page.evaluate("window.hostileRan") is None
    asked = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [url for url in asked if ASKS in url or "evil.example" in url]


def _payload(chance: Random) -> str:
    parts = [chance.choice(WORDS) for _ in range(chance.randint(0, 3))]
    for _ in range(chance.randint(1, 3)):
        parts.insert(chance.randint(0, len(parts)), _attack(chance))
    return chance.choice((" ", "", "\n")).join(parts)


def _attack(chance: Random) -> str:
    family = chance.choice((MARKUP, MARKUP, TEMPLATES, MARKDOWN, FORMULAS, ANSI, BIDI, UNSEEN, CONTROLS, WIDE))
    if isinstance(family, str):
        sprinkled = [chance.choice(WORDS) + chance.choice(family) * chance.choice((1, 1, 40)) for _ in range(3)]
        return "".join(sprinkled)
    text = chance.choice(family)
    return text if family is WIDE else text.format(run=RUNS, ask=ASKS)
