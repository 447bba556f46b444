"""Every setting of Switchboard, read from the environment (.env.example explains each).

A wrong value stops the boot with a hint: the checks are in apps/operations/checks.py. That is why hardly
anything here raises for a value that is missing or odd: the settings load, and the checks say what to do.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from django.utils.module_loading import import_string
from kombu import Queue as KombuQueue

from project import addresses, logs, queues, schedule, sqs
from project.admin_site import UNFOLD as UNFOLD  # a setting of this name is what django-unfold reads

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
ENV_FILE = Path(env.str("ENV_FILE", str(BASE_DIR / ".env")))
if ENV_FILE.is_file():
    environ.Env.read_env(str(ENV_FILE))

# --- Django -----------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
# In development a constant serves, so that `manage.py` works at once; the checks refuse it elsewhere.
SECRET_KEY = env.str("SECRET_KEY", "development-only-" + "x" * 40 if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=["development-only-" + "y" * 40] if DEBUG else [])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Files of this installation: the embedded database, beat's own file, collected static files.
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(VAR_DIR / "static")))
with suppress(OSError):  # a read-only file system: the checks say so where it matters
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    VAR_DIR.mkdir(parents=True, exist_ok=True)

INSTALLED_APPS = [
    "apps.monitoring",  # first: its templates are the admin's first page
    "apps.operations",
    "apps.frontdoor",
    "apps.pipeline",
    "apps.delivery",
    "apps.knowledge",
    "apps.conversations",
    "apps.channels",
    "apps.ai",
    "apps.jobs",
    "apps.accounts",
    "apps.reliability",
    "django_celery_results",
    "ninja",
    "unfold",  # before the admin, whose site and templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    # Apps of somebody else, with tasks of their own for example; their queues are EXTRA_QUEUES below.
    *env.list("EXTRA_APPS", default=[]),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.frontdoor.edge.Edge",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"  # django-unfold's login page forgets where /admin/login/ leads
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["project.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
# Compressed, but not renamed by content: the admin works on a fresh machine without `collectstatic`.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
# A message is text; a larger body is refused with 413 before it is read. Forms of the admin fit as well.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_BODY_BYTES", 256 * 1024)

# --- how the outside reaches us ---------------------------------------------------------------
# HTTPS=false only where no other machine can listen: development, the demo, tests.
HTTPS = env.bool("HTTPS", not DEBUG)
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # the load balancer asks from inside, without TLS
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 365 * 86400 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", HTTPS)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", HTTPS)
# The header in which your proxy says that a request came over TLS. Only if it overwrites what clients send.
_proxy_header = env.str("SECURE_PROXY_SSL_HEADER", "")
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_" + _proxy_header.upper().replace("-", "_"), "https") if _proxy_header else None
)
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
# The address of this installation as strangers see it: webhook addresses begin with it.
PUBLIC_URL = env.str("PUBLIC_URL", "").rstrip("/")
# Where browsers find the server-sent events, if not under the same address as the API. Empty: the same.
EVENTS_URL = env.str("EVENTS_URL", "")
# Proxies of ours, whose X-Forwarded-For says where a visitor comes from.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
# What one visitor of the widget may do; 0: no limit.
WIDGET_STARTS_PER_MINUTE = env.int("WIDGET_STARTS_PER_MINUTE", 30)
WIDGET_MESSAGES_PER_MINUTE = env.int("WIDGET_MESSAGES_PER_MINUTE", 20)
WIDGET_MESSAGES_BURST = env.int("WIDGET_MESSAGES_BURST", 10)

# Requests that Django serves at once in each web process, each with a database connection.
WEB_THREADS = env.int("WEB_THREADS", 8)

# --- database: embedded SQLite, or PostgreSQL by DATABASE_URL ----------------------------------
DATABASE_URL = env.str("DATABASE_URL", f"sqlite:///{VAR_DIR / 'switchboard.sqlite3'}")
DATABASES = {"default": addresses.database(DATABASE_URL, env.str("APPLICATION_NAME", "switchboard"))}

# --- Redis (limits, live streams, bell keys; never the truth) and the broker ---------------------
REDIS_URL = env.str("REDIS_URL", "")
BROKER_URL = env.str("BROKER_URL", "") or REDIS_URL
# BROKER_URL=sqs:// or sqs://key:secret@ only. The region; the server, where it is not AWS's own; the queues' address
# without their names; what their names begin with (docs/brokers.md).
SQS_REGION = env.str("SQS_REGION", "")
SQS_ENDPOINT_URL = env.str("SQS_ENDPOINT_URL", "").rstrip("/")
SQS_QUEUES_URL = env.str("SQS_QUEUES_URL", "").rstrip("/")
SQS_QUEUE_PREFIX = env.str("SQS_QUEUE_PREFIX", "switchboard-")

# --- rooms' registries ----------------------------------------------------------------------------
CHANNELS = {
    "widget": "apps.channels.widget.channel.WidgetChannel",
    "telegram": "apps.channels.telegram.channel.TelegramChannel",
    **env.dict("EXTRA_CHANNELS", default={}),
}
# Telegram's own server, or a Bot API server of yours; and how long one call may take, in seconds.
TELEGRAM_API_URL = env.str("TELEGRAM_API_URL", "https://api.telegram.org").rstrip("/")
TELEGRAM_TIMEOUT_SECONDS = env.float("TELEGRAM_TIMEOUT_SECONDS", 10.0)
AI_PROVIDERS = {
    "builtin": "apps.ai.builtin.BuiltinProvider",
    "openai": "apps.ai.openai.OpenAiProvider",
    "anthropic": "apps.ai.anthropic.AnthropicProvider",
    **env.dict("EXTRA_AI_PROVIDERS", default={}),
}
# {model: [US dollars per million tokens in, out]}, as JSON; what is no JSON stays a text, and the checks say so.
AI_PRICES: Any = env.str("AI_PRICES", "") or "{}"
with suppress(ValueError):
    AI_PRICES = json.loads(AI_PRICES)
# "failures/seconds" by the kind of what is behind: so many failures within so many seconds open a circuit breaker, for
# as many seconds (apps/reliability/policies.py).
BREAKERS = {
    "chat": env.str("BREAKER_CHAT", "5/30"),
    "ai": env.str("BREAKER_AI", "5/30"),
    "rpc": env.str("BREAKER_RPC", "3/60"),
    "ipfs": env.str("BREAKER_IPFS", "5/30"),
}
EXTRA_QUEUES = env.str("EXTRA_QUEUES", "")  # dotted path of a dict like the page's own: name -> Queue
QUEUES = queues.pages(CHANNELS) | (import_string(EXTRA_QUEUES) if EXTRA_QUEUES else {})

# --- Celery: it carries bells and plain tasks; the ledger holds the truth -------------------------
LEDGER_THREADS = env.int("LEDGER_THREADS", 4)  # and database connections, per worker process; SQLite: one
SQS_QUEUES = sqs.queue_names(QUEUES, SQS_QUEUE_PREFIX)
if BROKER_IS_SQS := sqs.is_sqs(BROKER_URL):
    CELERY_BROKER_URL = sqs.broker(BROKER_URL, SQS_ENDPOINT_URL)
    CELERY_BROKER_TRANSPORT_OPTIONS = sqs.options(
        region=SQS_REGION, endpoint=SQS_ENDPOINT_URL, base=SQS_QUEUES_URL, names=SQS_QUEUES
    )
else:
    CELERY_BROKER_URL = addresses.celery_broker(BROKER_URL)
    CELERY_BROKER_TRANSPORT_OPTIONS = addresses.broker_options(BROKER_URL)
# The `celery` command takes BROKER_URL from the environment as its --broker, in our words; these two win over it.
CELERY_BROKER_READ_URL = CELERY_BROKER_WRITE_URL = CELERY_BROKER_URL
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # never give up
CELERY_BROKER_POOL_LIMIT = 10
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 2
CELERY_BROKER_HEARTBEAT = 10  # RabbitMQ only
# Fail fast: the sweeper does what a lost bell would have done.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
CELERY_TASK_QUEUES = tuple(KombuQueue(name, routing_key=name, durable=True) for name in QUEUES)
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_DEFAULT_EXCHANGE = "switchboard"
CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "direct"
CELERY_TASK_CREATE_MISSING_QUEUES = False  # a misspelt queue is an error, not a queue that nobody serves
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False  # a bell needs no second net
# A result costs 3 ms: jobs have their row. A plain task that wants one says ignore_result=False.
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXPIRES = 86400
CELERY_RESULT_EXTENDED = True
CELERY_TASK_IGNORE_RESULT = True
# Celery would close the connection around each task. Ours are few, long-lived and looked after by the ledger.
CELERY_DB_REUSE_MAX = 10**9
CELERY_WORKER_PREFETCH_MULTIPLIER = env.int("WORKER_PREFETCH_MULTIPLIER", 1)
WORKER_EVENTS = env.bool("WORKER_EVENTS", False)
# SQS has no way to tell all workers something: no events, no remote control, no Flower.
CELERY_WORKER_SEND_TASK_EVENTS = CELERY_TASK_SEND_SENT_EVENT = WORKER_EVENTS and not BROKER_IS_SQS
CELERY_WORKER_ENABLE_REMOTE_CONTROL = not BROKER_IS_SQS
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("WORKER_SOFT_SHUTDOWN_SECONDS", 20.0)
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_ETA_TASK_LIMIT = 1000
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULE = schedule.CELERY_BEAT
CELERY_BEAT_SCHEDULE_FILENAME = env.str("BEAT_SCHEDULE_FILE", str(VAR_DIR / "beat-schedule"))
CELERY_BEAT_MAX_LOOP_INTERVAL = 5

# --- logging --------------------------------------------------------------------------------------
LOG_FORMAT = env.str("LOG_FORMAT", "console" if DEBUG else "json")
LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
LOGGING = logs.configure(LOG_FORMAT, LOG_LEVEL)
