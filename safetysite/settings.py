"""Settings. Everything that differs between machines comes from the environment; docs/operations.md lists it."""

import os
import secrets
import shlex
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from classifiers.drift import Limits
from fairness.gates import Margins
from safetysite import database

BASE_DIR = Path(__file__).resolve().parent.parent
CACHE_DIR = Path(os.environ.get("AI_SAFETY_MONITOR_CACHE", Path.home() / ".cache" / "ai-safety-monitor"))


def env(name: str, default: str = "") -> str:
    return os.environ.get(f"AI_SAFETY_MONITOR_{name}", default)


def env_bool(name: str, default: bool = False) -> bool:
    value = env(name, str(default)).lower()
    if value not in ("true", "false", "1", "0", "yes", "no"):
        raise ImproperlyConfigured(f"AI_SAFETY_MONITOR_{name} is {value!r}; use true or false.")
    return value in ("true", "1", "yes")


def env_int(name: str, default: int) -> int:
    try:
        return int(env(name, str(default)))
    except ValueError as error:
        raise ImproperlyConfigured(f"AI_SAFETY_MONITOR_{name} must be a whole number, not {env(name)!r}.") from error


def env_float(name: str, default: float) -> float:
    try:
        return float(env(name, str(default)))
    except ValueError as error:
        raise ImproperlyConfigured(f"AI_SAFETY_MONITOR_{name} must be a number, not {env(name)!r}.") from error


def secret_key() -> str:
    """The key from the environment, else one made once for this user; machines that share a database must share it."""
    if key := env("SECRET_KEY"):
        return key
    file = CACHE_DIR / "secret_key"
    try:
        return file.read_text()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    # Written beside it, then linked: of processes that start together, none reads a half-written key.
    with NamedTemporaryFile("w", dir=file.parent) as made:
        made.write(secrets.token_urlsafe(60))
        made.flush()
        with suppress(FileExistsError):
            os.link(made.name, file)
    return file.read_text()


SECRET_KEY = secret_key()
DEBUG = env_bool("DEBUG")
ALLOWED_HOSTS = env("HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    # First, so that its commands and templates win over Django's own.
    "safetysite.apps.SiteConfig",
    "safetysite.apps.SafetyAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_q",
    "axes",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "audit.apps.AuditConfig",
    "moderation.apps.ModerationConfig",
    "runs.apps.RunsConfig",
    "review.apps.ReviewConfig",
    "governance.apps.GovernanceConfig",
    "integrations.apps.IntegrationsConfig",
]

MIDDLEWARE = [
    "safetysite.middleware.observed",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "safetysite.middleware.permissions_policy",
    "safetysite.middleware.for_programs",
    "safetysite.files.FilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "safetysite.middleware.SafetyErrors",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "safetysite.urls"
WSGI_APPLICATION = "safetysite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "safetysite.context.fail_open",
            ]
        },
    }
]

try:
    DATABASES = {"default": database.parse(os.environ.get(database.VARIABLE) or database.DEFAULT)}
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
# Files are served from the packages they stand in, so that a fresh checkout needs no collectstatic.
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "safetysite.files.DigestStorage"},
}

# Nothing but the site's own files: texts from outside are shown on these pages. No inline script, no inline style, no eval.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        **{kind: [SELF] for kind in ("script-src", "style-src", "font-src", "connect-src", "form-action")},
        "img-src": [SELF, "data:"],
        **{kind: [NONE] for kind in ("base-uri", "frame-ancestors", "frame-src", "object-src")},
    }
}

# A login ends after so many hours, used or not, and its cookie is out of the reach of scripts and of other sites.
SESSION_COOKIE_AGE = 3600 * env_int("SESSION_HOURS", 12)
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# Who gives a wrong password too often, for one name from one address, waits.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = env_int("LOGIN_FAILURES", 5)
AXES_COOLOFF_TIME = timedelta(minutes=env_int("LOGIN_WAIT_MINUTES", 15))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "safetysite.login.locked_out"
AXES_CLIENT_IP_CALLABLE = "safetysite.login.address_of"
AXES_RESET_ON_SUCCESS = True
# Trying on while locked out writes nothing and does not lengthen the wait.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken"]
# The audit chain has the log, and names nobody twice.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Reverse proxies in front of the site: the visitor's address is that many from the right in X-Forwarded-For.
TRUSTED_PROXIES = env_int("PROXIES", 0)

# Behind TLS (AI_SAFETY_MONITOR_HTTPS=true): cookies only over it, everything else redirected to it.
HTTPS = env_bool("HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# Probes come from beside the site, not through the proxy that speaks TLS for it.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

# Of torch; 0 leaves it to torch, which takes all cores. Several workers on one machine want fewer each.
THREADS = {"threads": env_int("TORCH_THREADS", 0) or None}

# The REST API. Requests a minute of one token, and the bytes of a body.
SAFETY_API_RATE = f"{env_int('API_RATE', 6000)}/min"
SAFETY_API_BODY = env_int("API_BODY_MB", 16) * 2**20
# Of a form: a policy with as many thresholds and categories as one may have takes nearly 4,000.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
# The longest that a token lives, in days.
SAFETY_TOKEN_DAYS = env_int("TOKEN_DAYS", 365)
# Hosts of this machine's own network that webhooks may go to, also by plain http; all others of it are refused.
SAFETY_WEBHOOK_HOSTS = [host for host in env("WEBHOOK_HOSTS").lower().split(",") if host]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "integrations.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["integrations.throttling.TokenThrottle"],
    "DEFAULT_THROTTLE_RATES": {"api": SAFETY_API_RATE},
    "NUM_PROXIES": TRUSTED_PROXIES,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "safetysite.api.problem",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AI Safety Monitor",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_URLCONF": "safetysite.urls_api",
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    # Without the hook that gives sets of choices names: they stand where they are used, and none needs to be thought of.
    "POSTPROCESSING_HOOKS": ["audit.rest.closed"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": env("REDIS_URL")}
    if env("REDIS_URL")
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Folders whose files runs made on the site or over REST may read their prompts from; commands read any.
SAFETY_SOURCE_FOLDERS = [
    folder for folder in env("SOURCE_FOLDERS", str(BASE_DIR / "samples")).split(os.pathsep) if folder
]

# Providers: an alias, the class behind it and its options; docs/providers.md says how to add one.
SAFETY_CLASSIFIERS = {
    "gemma": {
        "BACKEND": "classifiers.providers.gemma.GemmaClassifier",
        "OPTIONS": {"base_model": "google/gemma-2b-it", **THREADS},
    },
    "openai": {
        "BACKEND": "classifiers.providers.openai.OpenAIModeration",
        "OPTIONS": {"model": "omni-moderation-latest"},
    },
    "toxic-bert": {
        "BACKEND": "classifiers.providers.huggingface.TextClassification",
        "OPTIONS": {"model": "unitary/toxic-bert", **THREADS},
    },
    # The guardrails: weights and rules that come with the project, nothing is downloaded.
    "toxicity": {
        "BACKEND": "guardrails.toxicity.ToxicityCheck",
        "OPTIONS": {
            "thresholds": {
                "toxic": 0.7,
                "severe_toxic": 0.5,
                "obscene": 0.7,
                "threat": 0.5,
                "insult": 0.7,
                "identity_hate": 0.5,
            }
        },
    },
    "pii": {
        "BACKEND": "guardrails.pii.PiiCheck",
        # These kinds block; names, places, addresses and dates are found too, and only inform.
        "OPTIONS": {
            "block": [
                *("CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_PASSPORT", "MEDICAL_LICENSE"),
                *("EMAIL_ADDRESS", "PHONE_NUMBER"),
            ]
        },
    },
    # Jailbreaks too: to take a model's instructions over is one thing, whoever tries it.
    "injection": {"BACKEND": "guardrails.injection.InjectionDetector", "OPTIONS": THREADS},
    "grounding": {"BACKEND": "guardrails.grounding.GroundingCheck", "OPTIONS": {}},
    "consistency": {"BACKEND": "guardrails.grounding.ConsistencyCheck", "OPTIONS": {"threshold": 0.5, **THREADS}},
    "refusal": {"BACKEND": "guardrails.refusal.RefusalDetector", "OPTIONS": THREADS},
}
SAFETY_GENERATORS = {
    "openai": {"BACKEND": "classifiers.providers.openai.OpenAIChat", "OPTIONS": {"model": "gpt-4o-mini"}},
    "local": {
        "BACKEND": "classifiers.providers.local.LocalGenerator",
        "OPTIONS": {"model": "embedded", **THREADS},
    },
}
SAFETY_SERVED: dict[str, dict[str, Any]] = {}
if MODEL_SERVER := env("MODEL_SERVER"):
    # One process holds the local models (manage.py serve_models); here their aliases are clients of it, all that would
    # load torch or spaCy. The other checks are a few rules and numbers. What trains an adapter loads its own model.
    for alias in ("gemma", "toxic-bert", "pii", "injection", "consistency", "refusal", "local"):
        kind, client = (SAFETY_GENERATORS, "Chat") if alias == "local" else (SAFETY_CLASSIFIERS, "Moderation")
        options = {"model": alias, "base_url": MODEL_SERVER, "timeout": 600.0}
        if alias in SAFETY_CLASSIFIERS:
            SAFETY_SERVED[alias] = SAFETY_CLASSIFIERS[alias]
        kind[alias] = {"BACKEND": f"classifiers.providers.openai.OpenAI{client}", "OPTIONS": options}
# What serve_models is told where run_workers or serve starts it; "none" leaves it to somebody else.
SAFETY_SERVED_MODELS = shlex.split(env("SERVED_MODELS"))

# The classifier of /v1/moderations where ``model`` names none or one of OpenAI's, and whether what it says is recorded.
SAFETY_MODERATION_MODEL = env("MODERATION_MODEL", "gemma")
SAFETY_RECORD_MODERATIONS = env_bool("RECORD_MODERATIONS", True)
# Whether a text that a check could not judge, and that none found TOXIC, passes all the same, told as degraded: by default
# nothing passes unjudged.
SAFETY_FAIL_OPEN = env_bool("FAIL_OPEN")
# What is stored of prompts, answers and all that comes with them: "full", "redacted" (placeholders for the personal data
# that the alias REDACTOR finds; what it cannot read is not stored), or "none". Classifiers always judge what came.
if (SAFETY_STORE_TEXT := env("STORE_TEXT", "full")) not in ("full", "redacted", "none"):
    raise ImproperlyConfigured(f"AI_SAFETY_MONITOR_STORE_TEXT is {SAFETY_STORE_TEXT!r}; use full, redacted or none.")
SAFETY_REDACTOR = env("REDACTOR", "pii")
# What ``model`` may name at /v1/chat/completions and /v1/responses: who answers, and who judges prompt and answer. A block
# is told by a refusal ("refuse"), or by an error ("error"); REFUSAL is its text. With "redact" an answer in which REDACTOR
# alone finds what blocks is given with placeholders in these places, if it then passes; all else is refused.
SAFETY_ROUTES = {
    "openai": {"GENERATOR": "openai", "INPUT": ["openai"], "OUTPUT": ["openai"], "ON_BLOCK": "refuse"},
    "local": {
        "GENERATOR": "local",
        "INPUT": [SAFETY_MODERATION_MODEL],
        "OUTPUT": [SAFETY_MODERATION_MODEL],
        "ON_BLOCK": "refuse",
    },
}

# How long a chunk stays with a worker that no longer says that it is alive, in seconds.
SAFETY_LEASE_SECONDS = env_int("LEASE_SECONDS", 60)
# How often a chunk is tried before the run fails.
SAFETY_CHUNK_ATTEMPTS = env_int("CHUNK_ATTEMPTS", 5)
# How long workers may show no sign of life before they are killed and started again, in seconds.
SAFETY_WATCHDOG_SECONDS = env_int("WATCHDOG_SECONDS", 120)

# What run_workers calls now and then, so that work which a killed process left is taken up.
SAFETY_REQUEUE = [
    *("runs.tasks.requeue_lost", "review.tasks.requeue_lost", "review.tasks.requeue_exports"),
    *("governance.tasks.requeue_lost", "runs.tasks.look_after_retention"),
]
# How run_workers learns which processes hold work that takes long, and are not to be taken for stuck.
SAFETY_HOLDERS = ["runs.leases.holders", "governance.turns.holders"]

# Drift: the last days, held against those before; and from how many texts and which difference on it counts.
SAFETY_DRIFT_RECENT_DAYS = env_int("DRIFT_RECENT_DAYS", 7)
SAFETY_DRIFT_REFERENCE_DAYS = env_int("DRIFT_REFERENCE_DAYS", 28)
SAFETY_DRIFT_LIMITS = Limits(
    least=env_int("DRIFT_LEAST", 200),
    watch=env_float("DRIFT_WATCH", 0.1),
    drift=env_float("DRIFT_LARGE", 0.25),
    watch_errors=env_float("DRIFT_WATCH_ERRORS", 0.01),
    drift_errors=env_float("DRIFT_LARGE_ERRORS", 0.05),
)

# What an adapter must show before it may be promoted: texts of each label, and by how much recall may be lower, or the gap in
# false positives between groups of people wider, than with what it takes the place of.
SAFETY_PROMOTION = Margins(
    texts=env_int("PROMOTION_TEXTS", 30),
    recall=env_float("PROMOTION_RECALL", 0.02),
    gap=env_float("PROMOTION_GAP", 0.05),
)

# How exports of results learn what people said of them: runs knows nothing of reviews.
SAFETY_VOTES = "review.votes.votes"
# Where exports that are written in the background lie, for all machines that work or serve, and for how many days.
SAFETY_EXPORTS = Path(env("EXPORTS") or CACHE_DIR / "exports")
SAFETY_EXPORT_DAYS = env_int("EXPORT_DAYS", 7)
# Where adapters that are trained in the background lie, for all machines that work or hold models.
SAFETY_ADAPTERS = Path(env("ADAPTERS") or CACHE_DIR / "adapters")

# For how many days what is kept, 0 for ever, and what lets go of it then (runs.retention): texts, those of live runs, what
# providers sent, logs of runs, messages to webhooks.
SAFETY_RETENTION = {
    "texts": ("runs.retention.let_texts_go", env_int("KEEP_TEXT_DAYS", 0)),
    "live texts": ("runs.retention.let_live_texts_go", env_int("KEEP_LIVE_TEXT_DAYS", 0)),
    "payloads": ("runs.retention.forget_payloads", env_int("KEEP_PAYLOAD_DAYS", 0)),
    "run logs": ("runs.retention.forget_logs", env_int("KEEP_LOG_DAYS", 0)),
    "deliveries": ("integrations.deliveries.forget_old", env_int("KEEP_DELIVERY_DAYS", 0)),
}
# How retention learns which results people have yet to judge.
SAFETY_NEEDED = "review.holds.needed"

# What run_workers calls every few seconds: it must be cheap.
SAFETY_LOOKS = ["integrations.tasks.look", "governance.tasks.look_for_drift"]

# How long a result that was kept for later, or handed to a colleague, waits for them, in seconds.
SAFETY_HOLD_SECONDS = env_int("HOLD_SECONDS", 86_400)
# How long a reviewer can take a verdict back, in seconds; a correction is possible always.
SAFETY_UNDO_SECONDS = env_int("UNDO_SECONDS", 3600)

WORKERS = env_int("WORKERS", 2)
REDIS_URL = env("REDIS_URL")
Q_CLUSTER = {
    "name": "safety",
    "label": "Task queue",
    "workers": WORKERS,
    # A chunk may take this long; then its worker is ended and the chunk tried again.
    "timeout": env_int("TASK_TIMEOUT", 1800),
    # A broker's own redelivery; well above the timeout and the wait of prefetched tasks. Lost chunks are found
    # by their lease long before.
    "retry": env_int("TASK_TIMEOUT", 1800) * 4,
    "max_attempts": 3,
    # Prefetched tasks wait behind long ones, so few are.
    "queue_limit": 2 * WORKERS,
    # Keeping successes costs a locked SELECT over all kept ones per task; runs and chunks hold the record.
    "save_limit": -1,
    # A recycled worker would load its model again.
    "recycle": 1_000_000,
    "poll": 0.5,
    "catch_up": False,
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}

# /metrics without a token, where only a scraper can reach it.
SAFETY_METRICS_OPEN = env_bool("METRICS_OPEN")
# Where processes count together; prometheus-client reads the variable itself, but makes no folder.
if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    Path(folder).mkdir(parents=True, exist_ok=True)

if (LOG_FORMAT := env("LOG_FORMAT", "line")) not in ("line", "json"):
    raise ImproperlyConfigured(f"AI_SAFETY_MONITOR_LOG_FORMAT is {LOG_FORMAT!r}; use line or json.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "safetysite.logs.RequestId"}},
    "formatters": {
        "line": {
            "()": "safetysite.logs.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["request"]}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "WARNING")},
    "loggers": {
        **{
            name: {"level": env("LOG_LEVEL", "INFO")}
            for name in ("classifiers", "moderation", "runs", "audit", "integrations", "safetysite")
        },
        # They say more than once what a run's own log or the audit chain says.
        **{name: {"level": env("LOG_LEVEL", "WARNING")} for name in ("django-q", "axes")},
    },
}
