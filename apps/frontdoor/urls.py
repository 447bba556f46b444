"""Pages of the front door, and the widget's files. The API's paths are in api/, the live stream is dispatched by
project/asgi.py."""

from django.urls import path

from apps.frontdoor import views

app_name = "frontdoor"
urlpatterns = [
    path("chat/<str:chatbot>", views.chat, name="chat"),
    path("widget.js", views.widget, name="widget"),
    path("widget/<slug:version>/<str:name>", views.widget_file, name="widget-file"),
]
