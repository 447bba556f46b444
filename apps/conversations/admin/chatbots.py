"""Chatbots and their channel accounts. Credentials go in and never come out."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from apps.ai import registry as providers
from apps.channels import registry as channels
from apps.conversations.models import ChannelAccount, Chatbot


class ChatbotForm(forms.ModelForm):
    provider = forms.ChoiceField(help_text="Which AI answers.")

    class Meta:
        model = Chatbot
        fields = (
            "customer",
            "name",
            "is_active",
            "greeting",
            "system_prompt",
            "provider",
            "provider_options",
            "max_wait",
            "fallback_message",
            "answer_each_message",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"] = _choice(providers.names(), self.instance.provider, "Which AI answers.")


@admin.register(Chatbot)
class ChatbotAdmin(admin.ModelAdmin):
    form = ChatbotForm
    list_display = ("name", "customer", "provider", "is_active", "created_at")
    list_filter = ("is_active", "provider")
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "customer__name")
    autocomplete_fields = ("customer",)
    readonly_fields = ("public_id", "created_at")


class NeverShown(forms.Textarea):
    """A text area that never gives back what was typed, not even beside an error."""

    def format_value(self, value: Any) -> None:
        return None


class ChannelAccountForm(forms.ModelForm):
    """Empty credentials leave what is stored; `{}` removes it."""

    new_credentials = forms.CharField(
        required=False,
        widget=NeverShown(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text='A JSON object, such as {"token": "…"}. Left empty: unchanged. {} removes them. '
        "They are stored encrypted and never shown again.",
    )

    class Meta:
        model = ChannelAccount
        fields = ("chatbot", "channel", "name", "debounce_seconds", "on_unknown", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"] = _choice(channels.names(), self.instance.channel)

    def clean_new_credentials(self) -> dict[str, Any] | None:
        """The object to store, or None for "unchanged"."""
        typed = self.cleaned_data["new_credentials"]
        if not typed:
            return None
        try:
            value = json.loads(typed)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise forms.ValidationError('Write a JSON object, such as {"token": "…"}.')
        return value

    def save(self, commit: bool = True) -> ChannelAccount:
        credentials = self.cleaned_data.get("new_credentials")
        if credentials is not None:
            self.instance.credentials = credentials
        account: ChannelAccount = super().save(commit)
        return account


@admin.register(ChannelAccount)
class ChannelAccountAdmin(admin.ModelAdmin):
    form = ChannelAccountForm
    list_display = ("__str__", "chatbot", "channel", "is_active", "created_at")
    list_filter = ("channel", "is_active")
    list_select_related = ("chatbot",)
    search_fields = ("name", "public_id", "chatbot__name")
    autocomplete_fields = ("chatbot",)
    readonly_fields = ("public_id", "credentials_stored", "created_at")
    fields = (
        "chatbot", "channel", "name", "credentials_stored", "new_credentials", "debounce_seconds", "on_unknown",
        "is_active", "public_id", "created_at",
    )  # fmt: skip

    @admin.display(description="credentials", boolean=True)
    def credentials_stored(self, account: ChannelAccount) -> bool:
        return bool(account.credentials)

    def get_queryset(self, request: HttpRequest) -> Any:
        """The list shows no credentials, so it decrypts none."""
        return super().get_queryset(request).defer("credentials")


def _choice(names: list[str], current: str, help_text: str = "") -> forms.ChoiceField:
    """A choice of what the settings know, and of what is stored although they don't know it any more."""
    known = [*names, *([current] if current and current not in names else [])]
    return forms.ChoiceField(choices=[(name, name) for name in known], help_text=help_text)
