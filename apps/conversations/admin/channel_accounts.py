"""Channel accounts. Credentials go in and never come out; what a channel needs stands in its `credentials`."""

from __future__ import annotations

import re
import secrets
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.channels import registry as channels
from apps.channels.base import Channel, Credential
from apps.conversations.admin import fields
from apps.conversations.models import ChannelAccount
from apps.reliability.redaction import redact_text

MADE_BYTES = 32
ACTIVE = {"active": "success", "switched off": "danger"}


def channel_called(name: str) -> Channel | None:
    """The channel, or None where the settings don't know it (any more)."""
    try:
        return channels.get(name)
    except channels.UnknownChannel:
        return None


def declared() -> list[tuple[str, Credential]]:
    """Every credential of every channel, with the channel's name."""
    found = [(name, channel_called(name)) for name in channels.names()]
    return [(name, one) for name, channel in found if channel for one in channel.credentials]


def field_of(channel: str, credential: Credential) -> str:
    """The name of its field in the form; the page's script uses it as a variable."""
    return re.sub(r"\W", "_", f"credential_{channel}_{credential.name}")


class ChannelAccountForm(forms.ModelForm):
    """A field for each credential of the channels that say what they need; JSON for the others.

    An empty field leaves what is stored; `{}` as JSON removes all of it. What a channel lets us make
    (`Credential.made`) is made where nothing is stored.
    """

    new_credentials = forms.CharField(
        required=False,
        label="Credentials",
        widget=fields.NeverShown(attrs={"rows": 3, **fields.OFF}),
        help_text='A JSON object, such as {"token": "…"}. Left empty: unchanged. {} removes them. '
        "They are stored encrypted and never shown again.",
    )

    class Meta:
        model = ChannelAccount
        fields = ("chatbot", "channel", "name", "options", "debounce_seconds", "on_unknown", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "channel" not in self.fields:  # somebody who may only look
            return
        self.fields["channel"] = fields.choice(channels.names(), self.instance.channel)
        self.fields["options"].widget.attrs["rows"] = 3
        stored = self.instance.credentials if self.instance.pk else {}
        for channel, one in declared():
            has = stored.get(one.name) if channel == self.instance.channel else None
            self.fields[field_of(channel, one)] = _field(one, has)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        fields.clean_objects(self, ["options"])
        name = cleaned.get("channel", "")
        channel = channel_called(name)
        if channel and "options" not in self.errors:
            for problem in channel.option_problems(cleaned.get("options") or {}):
                self.add_error("options", problem)
        if "new_credentials" in self.errors or not name:
            return cleaned
        cleaned["credentials"] = credentials = self._credentials(name, channel)
        for problem in channel.problems(credentials) if channel else ():
            self.add_error(_where(channel, problem), redact_text(problem))
        return cleaned

    def clean_new_credentials(self) -> dict[str, Any] | None:
        """The object to store, or None for "unchanged"."""
        typed = self.cleaned_data["new_credentials"]
        return fields.object_or_error(typed) if typed else None

    def _credentials(self, name: str, channel: Channel | None) -> dict[str, Any]:
        """What is to be stored: what there is, with what was typed, and what we make."""
        typed = self.cleaned_data.get("new_credentials")
        # Another channel's credentials are of no use to this one.
        same = bool(self.instance.pk) and self.initial.get("channel") == name
        kept = typed if typed is not None else (self.instance.credentials if same else {})
        credentials = dict(kept)
        for one in channel.credentials if channel else ():
            if value := self.cleaned_data.get(field_of(name, one)):
                credentials[one.name] = value
            elif one.made and not credentials.get(one.name):
                credentials[one.name] = secrets.token_urlsafe(MADE_BYTES)
        return credentials

    def save(self, commit: bool = True) -> ChannelAccount:
        credentials = self.cleaned_data.get("credentials")
        if credentials is not None:
            self.instance.credentials = credentials
        account: ChannelAccount = super().save(commit)
        return account


def _field(one: Credential, stored: Any) -> forms.CharField:
    if not one.secret:
        return fields.plain(one.label, one.help, initial=str(stored or ""))
    hints = [one.help, fields.STORED if stored else "", "Made by us if left empty." if one.made else ""]
    return fields.secret(one.label, " ".join(filter(None, hints[:2] if stored else [hints[0], hints[2]])))


def _where(channel: Channel | None, problem: str) -> str | None:
    """The field that a problem is about: problems begin with the credential's name."""
    for one in channel.credentials if channel else ():
        if problem.startswith((f"{one.name} ", f"{one.name}:")):
            return field_of(channel.name, one) if channel else None
    return None


@admin.register(ChannelAccount)
class ChannelAccountAdmin(ModelAdmin):
    form = ChannelAccountForm
    list_display = ("shown_name", "chatbot", "channel", "state", "created_at")
    list_filter = ("channel", "is_active")
    list_select_related = ("chatbot",)
    search_fields = ("name", "public_id", "chatbot__name")
    autocomplete_fields = ("chatbot",)
    readonly_fields = ("public_id", "credentials_stored", "created_at", "webhook_address")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        made = ("webhook_address", "public_id", "created_at") if obj else ()
        own = [field_of(channel, one) for channel, one in declared()]
        if not self.has_change_permission(request, obj) and obj:  # to look at: there is nothing to fill in
            typed: tuple[str, ...] = ()
        else:
            typed = (*own, "new_credentials")
        return [
            (None, {"fields": ("chatbot", "channel", "name", "is_active", *made)}),
            ("Credentials", {"fields": (*(("credentials_stored",) if obj else ()), *typed)}),
            ("How it behaves", {"fields": ("debounce_seconds", "on_unknown", "options")}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The fields of credentials are made by the form itself; Django would look for them in the model.
        kwargs["fields"] = ChannelAccountForm.Meta.fields
        return super().get_form(request, obj, change, **kwargs)

    @property
    def conditional_fields(self) -> dict[str, str]:
        """When which field is shown, as Alpine understands it: the credentials of the chosen channel."""
        shown = {field_of(channel, one): f"channel == '{channel}'" for channel, one in declared()}
        with_own = sorted({channel for channel, _ in declared()})
        return {**shown, "new_credentials": f"!{with_own!r}.includes(channel)"}

    def get_queryset(self, request: HttpRequest) -> Any:
        """The list shows no credentials, so it decrypts none."""
        return super().get_queryset(request).defer("credentials")

    @admin.display(description="account", ordering="name")
    def shown_name(self, account: ChannelAccount) -> str:
        return account.name or account.channel

    @display(description="state", ordering="is_active", label=ACTIVE)
    def state(self, account: ChannelAccount) -> str:
        return "active" if account.is_active else "switched off"

    @admin.display(description="stored now")
    def credentials_stored(self, account: ChannelAccount) -> str:
        return "credentials, encrypted" if account.credentials else "none"

    @admin.display(description="webhook address")
    def webhook_address(self, account: ChannelAccount) -> str:
        """Where the provider reaches us."""
        channel = channel_called(account.channel)
        if channel is None or not channel.has_webhook:
            return "none: nobody calls us on this channel"
        path = f"/webhooks/{account.channel}/{account.public_id}"
        if not settings.PUBLIC_URL:
            return format_html(
                "<code>{}</code> <br>(PUBLIC_URL is not set, so the host is not known here)", path
            )
        return format_html("<code>{}{}</code>", settings.PUBLIC_URL, path)
