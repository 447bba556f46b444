"""Pages of the front door. The API's paths are in api/, the live stream is dispatched by project/asgi.py."""

from django.urls import path

from apps.frontdoor import views

app_name = "frontdoor"
urlpatterns = [path("chat/<str:chatbot>", views.chat, name="chat")]
