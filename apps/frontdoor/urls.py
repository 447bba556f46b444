"""Webhooks of providers, pages of the front door, and the widget's files. The API's paths are in api/, the live stream
and the express lane are dispatched by project/asgi.py."""

from django.urls import path

from apps.frontdoor import views, webhooks

app_name = "frontdoor"
urlpatterns = [
    path("webhooks/<str:channel>/<uuid:account>", webhooks.receive, name="webhook"),
    path("chat/<str:chatbot>", views.chat, name="chat"),
    path("widget.js", views.widget, name="widget"),
    path("widget/<slug:version>/<str:name>", views.widget_file, name="widget-file"),
]
