"""The dead letters: failed jobs that nobody has decided about. Try again, or discard; each asks for a reason."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from apps.jobs.admin import deciding, words
from apps.jobs.admin.advice import advice_for
from apps.jobs.admin.filters import CustomerFilter, MadeFilter, OpenReasonFilter, QueueFilter, TaskFilter
from apps.jobs.admin.jobs import StoryAdmin
from apps.jobs.models import DeadLetter, Job
from apps.reliability.redaction import redact_text

AT_ONCE = 500
"""The most dead letters of one action; each is a transaction of its own."""
SHOWN_ERROR = 160
MOST_COUNTED = 99
TITLES = {"retry": "Retry", "discard": "Discard", "arrived": "It arrived: close"}


def how_many_open() -> str:
    """The number of dead letters to decide about, for a badge: "" for none, "99+" for more than that.

    Reads at most a hundred entries of the index of dead letters.
    """
    found = len(Job.objects.dead_letters().values_list("pk", flat=True)[: MOST_COUNTED + 1])
    return f"{MOST_COUNTED}+" if found > MOST_COUNTED else str(found or "")


class OpenLetters(ChangeList):
    """The list has the open ones only. The page of one that was closed meanwhile still opens."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).filter(closed_at=None)


@admin.register(DeadLetter)
class DeadLetterAdmin(StoryAdmin):
    list_display = (
        "failed",
        "what",
        "shown_error",
        "shown_customer",
        "shown_attempts",
    )
    list_filter = (OpenReasonFilter, TaskFilter, QueueFilter, CustomerFilter, MadeFilter)
    actions = ("retry", "discard")
    can_act = True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this person may decide about dead letters; nobody edits one."""
        return ModelAdmin.has_change_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(status=Job.Status.FAILED)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OpenLetters

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<path:object_id>/{verb}/",
                self.admin_site.admin_view(self._decide_one),
                {"verb": verb},
                name=f"jobs_deadletter_{verb}",
            )
            for verb in deciding.VERBS
        ] + super().get_urls()

    # --- columns --------------------------------------------------------------------------------

    @admin.display(description="failed")
    def failed(self, job: Job) -> str:
        return words.when(job.finished_at)

    @admin.display(description="task and reason")
    def what(self, job: Job) -> str:
        return format_html(
            '<span>{}<br><span class="job-failed">{}</span></span>', job.task, words.why_failed(job)
        )

    @admin.display(description="error")
    def shown_error(self, job: Job) -> str:
        error = redact_text(job.error)
        return format_html(
            '<span class="job-error">{}</span>',
            error if len(error) <= SHOWN_ERROR else f"{error[:SHOWN_ERROR]}…",
        )

    # --- deciding -------------------------------------------------------------------------------

    @admin.action(description="Retry the chosen dead letters", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._decide_many(request, queryset, "retry")

    @admin.action(description="Discard the chosen dead letters", permissions=["change"])
    def discard(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._decide_many(request, queryset, "discard")

    def _decide_many(self, request: HttpRequest, queryset: QuerySet[Any], verb: str) -> HttpResponse | None:
        chosen = list(queryset.order_by("pk")[: AT_ONCE + 1])
        more, letters = len(chosen) > AT_ONCE, chosen[:AT_ONCE]
        gone = 0 if more or request.POST.get("select_across") == "1" else self._chosen(request) - len(letters)
        if letters and request.POST.get("confirmed") != "yes":
            return self._ask(request, letters, verb, more=more)
        why = request.POST.get("why", "")
        outcome = deciding.decide(letters, verb=verb, by=request.user, why=why, log=self._log(request))
        outcome.gone += gone
        for level, text in outcome.words():
            messages.add_message(request, level, text)
        if more:
            messages.warning(request, f"{AT_ONCE} at a time: there are more, choose them again.")
        return None

    @staticmethod
    def _chosen(request: HttpRequest) -> int:
        return len(set(request.POST.getlist(ACTION_CHECKBOX_NAME)))

    def _decide_one(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """The buttons on the page. Retry acts at once, unless that may do a thing twice; discard asks first."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        job = self.get_object(request, unquote(object_id))
        if not self.has_change_permission(request, job):
            raise PermissionDenied
        if job is None:
            return self._gone(request, object_id)
        asks = verb == "discard" or advice_for(job).may_repeat
        if asks and job.closed_at is None and request.POST.get("confirmed") != "yes":
            return self._ask(request, [job], verb, one=True)
        outcome = deciding.decide(
            [job], verb=verb, by=request.user, why=request.POST.get("why", ""), log=self._log(request)
        )
        for level, text in outcome.words():
            messages.add_message(request, level, text)
        # Decided: back to what is left. Not decided: stay and read why.
        if outcome.done:
            return HttpResponseRedirect(reverse("admin:jobs_deadletter_changelist"))
        return HttpResponseRedirect(reverse("admin:jobs_deadletter_change", args=[job.pk]))

    def _ask(
        self, request: HttpRequest, letters: list[Job], verb: str, *, one: bool = False, more: bool = False
    ) -> HttpResponse:
        many = "this dead letter" if len(letters) == 1 else f"these {len(letters)} dead letters"
        context = {
            **self.admin_site.each_context(request),
            "title": f"{TITLES[verb]} {many}?",
            "opts": self.opts,
            "media": self.media,
            "verb": verb,
            "letters": [(letter, words.why_failed(letter)) for letter in letters],
            "twice": sum(advice_for(letter).may_repeat for letter in letters) if verb == "retry" else 0,
            "why": request.POST.get("why", ""),
            "one": one,
            "at_most": AT_ONCE if more else 0,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/confirm.html", context)

    def _log(self, request: HttpRequest) -> deciding.Log:
        def write(job: Job, text: str) -> None:
            self.log_change(request, job, text)

        return write
