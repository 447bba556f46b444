"""Chatbots, and the order in which each asks its AI accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.forms import PaginationInlineFormSet

from apps.ai import registry as providers
from apps.conversations.admin import fields
from apps.conversations.models import AiAccount, Chatbot, ChatbotAi

ACTIVE = {"active": "success", "switched off": "danger"}
OUT_OF_THE_WAY = 10_000
ROWS = {"greeting": 2, "system_prompt": 8, "fallback_message": 2, "provider_options": 3}


class ChatbotForm(forms.ModelForm):
    provider = forms.ChoiceField()
    allowed_origins = fields.LinesField(
        help_text="Where its widget may be embedded, one a line, such as https://shop.example or "
        "https://*.shop.example. Empty: anywhere."
    )

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
            "allowed_origins",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" in self.fields:  # else: somebody who may only look
            known = [name for name in providers.names() if not providers.get(name).needs_account]
            for name, rows in ROWS.items():
                self.fields[name].widget.attrs["rows"] = rows
            help_text = Chatbot._meta.get_field("provider").help_text
            self.fields["provider"] = fields.choice(known, self.instance.provider, help_text=help_text)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        fields.clean_objects(self, ["provider_options"])
        return cleaned


class InOrderForm(forms.ModelForm):
    """One step. Its position is a wish: the formset numbers all of them."""

    class Meta:
        model = ChatbotAi
        fields = ("account", "model", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "position" in self.fields:
            self.fields["position"].required = False

    def clean_position(self) -> int:
        wished = self.cleaned_data.get("position")
        return OUT_OF_THE_WAY if wished is None else wished

    def _get_validation_exclusions(self) -> set[str]:
        """Two steps that change places hold each other's position until both are saved."""
        return {*super()._get_validation_exclusions(), "position"}  # type: ignore[misc]


class InOrder(PaginationInlineFormSet):
    """The steps of one chatbot: accounts of its own customer, each once, numbered as they stand on the page."""

    def clean(self) -> None:
        super().clean()
        seen = set()
        for form in self._kept():
            account = form.cleaned_data["account"]
            if account.customer_id != self.instance.customer_id:
                form.add_error("account", "This account belongs to another customer.")
            model = form.cleaned_data.get("model", "")
            if (account.pk, model) in seen:
                form.add_error("account", "This account stands in the order already, with the same model.")
            seen.add((account.pk, model))

    def validate_unique(self) -> None:
        """Positions are given when saving; what must not stand twice is looked for in `clean`."""

    def save(self, commit: bool = True) -> Any:
        kept = sorted(self._kept(), key=_wish)
        for number, form in enumerate(kept, start=1):
            form.instance.position = number
            if (
                "position" not in form.changed_data
            ):  # cached: from here on it says that there is something to save
                form.changed_data.append("position")
        steps = ChatbotAi.objects.filter(chatbot=self.instance.pk)
        # The numbers in use move out of the way, so that none is taken twice while they change places.
        steps.filter(position__lt=OUT_OF_THE_WAY).update(position=F("position") + OUT_OF_THE_WAY)
        saved = super().save(commit)
        # Those that somebody else added meanwhile, and that this page did not know, go to the end.
        for number, pk in enumerate(
            steps.filter(position__gte=OUT_OF_THE_WAY).values_list("pk", flat=True), start=len(kept) + 1
        ):
            ChatbotAi.objects.filter(pk=pk).update(position=number)
        return saved

    def _kept(self) -> list[Any]:
        return [
            form
            for form in self.forms
            if form.is_valid() and form.cleaned_data.get("account") and not self._should_delete_form(form)
        ]


def _wish(form: Any) -> int:
    return int(form.cleaned_data.get("position") or 0)


class AiOrderInline(TabularInline):
    model = ChatbotAi
    form = InOrderForm
    formset = InOrder
    fields = ("account", "model", "position")
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0
    verbose_name_plural = "AI accounts, in the order in which they are asked"

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Offers the accounts of the chatbot's customer; which one was chosen is checked again by the formset."""
        formset = super().get_formset(request, obj, **kwargs)
        if obj is not None and "account" in formset.form.base_fields:
            own = AiAccount.objects.filter(customer=obj.customer_id).defer("credentials")
            formset.form.base_fields["account"].queryset = own.order_by("name")
        return formset


@admin.register(Chatbot)
class ChatbotAdmin(ModelAdmin):
    form = ChatbotForm
    list_display = ("name", "customer", "state", "provider", "created_at")
    list_filter = ("is_active", "provider")
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "customer__name")
    autocomplete_fields = ("customer",)
    readonly_fields = ("public_id", "created_at", "chat_page")
    inlines = (AiOrderInline,)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new chatbot has no customer yet, so there is nothing to choose from before it was saved."""
        return super().get_inlines(request, obj) if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        made = ("chat_page", "public_id", "created_at") if obj else ()
        return [
            (None, {"fields": ("customer", "name", "is_active", *made)}),
            ("What it says", {"fields": ("greeting", "system_prompt", "fallback_message")}),
            (
                "Which AI answers, and how long people wait",
                {"fields": ("provider", "provider_options", "max_wait", "answer_each_message")},
            ),
            ("Where it may be embedded", {"fields": ("allowed_origins",)}),
        ]

    @display(description="state", ordering="is_active", label=ACTIVE)
    def state(self, chatbot: Chatbot) -> str:
        return "active" if chatbot.is_active else "switched off"

    @admin.display(description="chat page")
    def chat_page(self, chatbot: Chatbot) -> str:
        """Its page, if the room above has one."""
        try:
            path = reverse("frontdoor:chat", args=[chatbot.public_id])
        except NoReverseMatch:
            return "–"
        return format_html('<a href="{}" target="_blank">{}</a>', path, path)
