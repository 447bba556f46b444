"""Every setting of Switchboard, read from the environment (see .env.example).

A wrong value stops the boot with a hint: the checks are in apps/operations/checks.py.
"""

from pathlib import Path

import environ

from project import queues, schedule

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(env.str("ENV_FILE", str(BASE_DIR / ".env")))

# --- Django -----------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
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
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
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
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

# --- database: embedded SQLite, or PostgreSQL by DATABASE_URL ----------------------------------
DATABASE_URL = env.str("DATABASE_URL", f"sqlite:///{BASE_DIR / 'var' / 'switchboard.sqlite3'}")
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that reads and then writes would otherwise fail at once with "database is
    # locked", whatever the timeout. So no atomic() around reads, and never around a call outside.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=134217728; "
            "PRAGMA cache_size=-20000; PRAGMA journal_size_limit=67108864"
        ),
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- Redis (limits, live streams, bell keys; never the truth) and the broker ---------------------
REDIS_URL = env.str("REDIS_URL", "")
BROKER_URL = env.str("BROKER_URL", "")

# --- rooms' registries ----------------------------------------------------------------------------
CHANNELS = {"widget": "apps.channels.widget.channel.WidgetChannel", **env.dict("EXTRA_CHANNELS", default={})}
AI_PROVIDERS = {"builtin": "apps.ai.builtin.BuiltinProvider", **env.dict("EXTRA_AI_PROVIDERS", default={})}
QUEUES = queues.pages(CHANNELS)
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[])
EVENTS_URL = env.str("EVENTS_URL", "")
