"""Accounts with AI providers. The key goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldBooleanSwitchWidget

from apps.ai import registry as providers
from apps.conversations.admin import fields
from apps.conversations.models import AiAccount

ACTIVE = {"active": "success", "switched off": "danger"}
LABELS = {"api_key": "API key"}


def credential_names() -> dict[str, list[str]]:
    """What the credentials of an account hold, and for which providers."""
    found: dict[str, list[str]] = {}
    for provider in providers.names():
        for name in providers.get(provider).credential_names:
            found.setdefault(name, []).append(provider)
    return found


class AiAccountForm(forms.ModelForm):
    """A field for each credential that some provider wants; empty leaves what is stored."""

    forget = forms.BooleanField(
        required=False,
        label="Forget what is stored",
        help_text="Removes the stored credentials. What is typed above is stored all the same.",
        widget=UnfoldBooleanSwitchWidget(),
    )

    class Meta:
        model = AiAccount
        fields = (
            "customer",
            "name",
            "provider",
            "base_url",
            "model",
            "timeout_seconds",
            "options",
            "is_active",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" not in self.fields:  # somebody who may only look
            return
        known = [name for name in providers.names() if providers.get(name).needs_account]
        self.fields["options"].widget.attrs["rows"] = 3
        help_text = AiAccount._meta.get_field("provider").help_text
        self.fields["provider"] = fields.choice(known, self.instance.provider, help_text=help_text)
        stored = self.instance.credentials if self.instance.pk else {}
        for name in credential_names():
            label = LABELS.get(name, name.replace("_", " ").capitalize())
            hint = fields.STORED if stored.get(name) else "Stored encrypted and never shown again."
            self.fields[f"credential_{name}"] = fields.secret(label, hint)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        fields.clean_objects(self, ["options"])
        return cleaned

    def save(self, commit: bool = True) -> AiAccount:
        stored = {} if self.cleaned_data.get("forget") or not self.instance.pk else self.instance.credentials
        typed = {
            name: value
            for name in credential_names()
            if (value := self.cleaned_data.get(f"credential_{name}"))
        }
        self.instance.credentials = {**stored, **typed}
        account: AiAccount = super().save(commit)
        return account


@admin.register(AiAccount)
class AiAccountAdmin(ModelAdmin):
    form = AiAccountForm
    list_display = ("name", "customer", "provider", "model", "state", "used_by")
    list_filter = ("provider", "is_active")
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "model", "customer__name")
    autocomplete_fields = ("customer",)
    readonly_fields = ("public_id", "created_at", "credentials_stored")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AiAccount]:
        """The list shows no credentials, so it decrypts none."""
        return super().get_queryset(request).defer("credentials").annotate(uses_count=Count("uses"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        names = [f"credential_{name}" for name in credential_names()]
        if obj and not self.has_change_permission(request, obj):  # to look at: there is nothing to fill in
            typed: list[str] = []
        else:
            typed = [*names, *(["forget"] if obj else [])]
        made = ("public_id", "created_at") if obj else ()
        return [
            (None, {"fields": ("customer", "name", "is_active", *made)}),
            ("Where it answers", {"fields": ("provider", "base_url", "model", "timeout_seconds", "options")}),
            ("Credentials", {"fields": (*(("credentials_stored",) if obj else ()), *typed)}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The fields of credentials are made by the form itself; Django would look for them in the model.
        kwargs["fields"] = AiAccountForm.Meta.fields
        return super().get_form(request, obj, change, **kwargs)

    @property
    def conditional_fields(self) -> dict[str, str]:
        """When which field is shown, as Alpine understands it: what the chosen provider wants."""
        return {
            f"credential_{name}": f"{wanting!r}.includes(provider)"
            for name, wanting in credential_names().items()
        }

    @display(description="state", ordering="is_active", label=ACTIVE)
    def state(self, account: AiAccount) -> str:
        return "active" if account.is_active else "switched off"

    @admin.display(description="chatbots", ordering="uses_count")
    def used_by(self, account: Any) -> int:
        return account.uses_count

    @admin.display(description="stored now")
    def credentials_stored(self, account: AiAccount) -> str:
        return "credentials, encrypted" if account.credentials else "none"
