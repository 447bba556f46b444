"""Every address of the house: admin, API, the doors of the frontdoor, and the health of this process."""

from django.contrib import admin
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from project.api import api

admin.site.index_title = "Overview"


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Whether this process can work: 200 if the database answers, else 503. Says nothing that helps a stranger."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/overview/", include("apps.monitoring.urls")),
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("", include("apps.frontdoor.urls")),
]
