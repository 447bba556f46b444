"""Admin pages of the accounts. A key's secret is shown once, after it was made; its hash never."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from apps.accounts import services
from apps.accounts.admin_lists import UncountedAdmin
from apps.accounts.models import ApiKey, Customer, Plan, UsageRecord, User
from apps.accounts.scopes import SCOPES

admin.site.unregister(Group)  # Django's own, which looks like another program


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = ("name", "monthly_price", "priority", "weight", "customer_count")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return super().get_queryset(request).annotate(customer_count=Count("customers"))

    @admin.display(description="customers", ordering="customer_count")
    def customer_count(self, plan: Any) -> int:
        return plan.customer_count


@admin.register(Customer)
class CustomerAdmin(ModelAdmin):
    list_display = (
        "name",
        "plan",
        "priority",
        "is_active",
        "keys",
        "messages_month",
        "tokens_month",
        "created_at",
    )
    list_filter = ("is_active", "plan")
    list_select_related = ("plan",)
    search_fields = ("name", "public_id")
    fields = ("name", "plan", "is_active", "public_id", "created_at")
    readonly_fields = ("public_id", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        """With counts by subquery: joins would multiply keys with usage."""
        now = timezone.now()
        keys = ApiKey.objects.usable(now).filter(customer=OuterRef("pk")).order_by().values("customer")
        month = UsageRecord.objects.filter(customer=OuterRef("pk"), created_at__gte=now - timedelta(days=30))
        usage = month.order_by().values("customer")
        return (
            super()
            .get_queryset(request)
            .annotate(
                keys=Coalesce(Subquery(keys.annotate(n=Count("pk")).values("n")), 0),
                messages_month=Coalesce(Subquery(usage.annotate(n=Sum("messages")).values("n")), 0),
                tokens_month=Coalesce(
                    Subquery(usage.annotate(n=Sum("tokens_in") + Sum("tokens_out")).values("n")), 0
                ),
            )
        )

    @admin.display(description="usable keys", ordering="keys")
    def keys(self, customer: Any) -> int:
        return customer.keys

    @admin.display(description="messages, 30 days", ordering="messages_month")
    def messages_month(self, customer: Any) -> int:
        return customer.messages_month

    @admin.display(description="AI tokens, 30 days", ordering="tokens_month")
    def tokens_month(self, customer: Any) -> int:
        return customer.tokens_month


STATES = {"usable": "success", "revoked": "danger", "expired": "warning", "customer inactive": "warning"}


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=list(SCOPES.items()), widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = ApiKey
        fields = ("customer", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are made and revoked, never edited (but for their name) or deleted: the list is the record."""

    form = ApiKeyForm
    list_display = (
        "name",
        "shown_prefix",
        "customer",
        "shown_scopes",
        "shown_state",
        "last_used_at",
        "created_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("customer",)
    search_fields = ("name", "prefix", "customer__name")
    autocomplete_fields = ("customer",)
    actions = ("revoke",)
    _fixed = ("customer", "shown_prefix", "shown_scopes", "state")
    _times = ("created_at", "last_used_at", "expires_at", "revoked_at")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return (
            ("customer", "name", "scopes", "expires_at")
            if obj is None
            else ("name", *self._fixed, *self._times)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return () if obj is None else (*self._fixed, *self._times)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        made, secret = services.create_api_key(
            customer=obj.customer, name=obj.name, scopes=obj.scopes, expires_at=obj.expires_at
        )
        # The admin goes on with its own instance: let it be the one that was made.
        obj.__dict__.update(made.__dict__)
        shown = format_html("The secret, shown only now. Copy it: <code>{}</code>", secret)
        messages.warning(request, shown)

    @admin.action(description="Revoke the chosen keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [key for key in queryset if services.revoke_api_key(key=key)]
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        messages.success(request, f"{len(revoked)} revoked. They are refused everywhere within two seconds.")

    @admin.display(description="prefix", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"sb_{key.prefix}_…"

    @admin.display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="state", label=STATES)
    def shown_state(self, key: ApiKey) -> str:
        return self.state(key)

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        if key.expires_at and key.expires_at <= timezone.now():
            return "expired"
        return "usable" if key.customer.is_active else "customer inactive"


@admin.register(UsageRecord)
class UsageRecordAdmin(UncountedAdmin):
    """Read only: usage is what happened."""

    list_display = ("created_at", "customer", "reference", "messages", "tokens_in", "tokens_out", "sends")
    list_select_related = ("customer",)
    search_fields = ("reference", "customer__name")
    date_hierarchy = "created_at"
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
