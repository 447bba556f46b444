"""Addresses of this room; they lie below the admin's, and behind its login."""

from django.contrib import admin
from django.urls import path

from apps.monitoring import views

app_name = "monitoring"
urlpatterns = [
    path("figures", admin.site.admin_view(views.dashboard_figures), name="figures"),
]
