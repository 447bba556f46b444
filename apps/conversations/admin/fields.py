"""Form fields of these pages: secrets that never come out, JSON objects, lists with an entry a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

OFF = {"autocomplete": "off", "spellcheck": "false"}
STORED = "Stored. Left empty: unchanged."


class NeverShown(UnfoldAdminTextareaWidget):
    """A text area that never gives back what was typed, not even beside an error."""

    def format_value(self, value: Any) -> None:
        return None


def secret(label: str, help_text: str = "") -> forms.CharField:
    """One secret: goes in, never comes out, not even beside an error. Empty means "unchanged"."""
    widget = UnfoldAdminPasswordWidget({**OFF, "autocomplete": "new-password"})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget, max_length=4000)


def plain(label: str, help_text: str = "", initial: str = "") -> forms.CharField:
    """A value that everybody may see."""
    widget = UnfoldAdminTextInputWidget(OFF)
    return forms.CharField(
        required=False, label=label, help_text=help_text, initial=initial, widget=widget, max_length=4000
    )


def choice(names: Iterable[str], current: str, **options: Any) -> forms.ChoiceField:
    """A choice of what the settings know, and of what is stored although they don't know it any more."""
    known = list(names)
    if current and current not in known:
        known.append(current)
    widget = UnfoldAdminSelectWidget()
    return forms.ChoiceField(choices=[(name, name) for name in known], widget=widget, **options)


class Lines(UnfoldAdminTextareaWidget):
    """A list of texts, shown with one a line."""

    def format_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(map(str, value or ()))


class LinesField(forms.CharField):
    """One entry a line, in and out; empty lines are left out. Cleans to a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=Lines(attrs={"rows": 3, "spellcheck": "false"}), **options)

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(data) != list(initial or [])


def object_or_error(typed: str) -> dict[str, Any]:
    """The JSON object that was typed. Raises ValidationError without repeating it: it may be a secret."""
    try:
        value = json.loads(typed)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise forms.ValidationError('Write a JSON object, such as {"token": "…"}.')
    return value


def clean_objects(form: forms.ModelForm, names: Sequence[str]) -> None:
    """Model fields of settings: nothing typed means none, and anything but a JSON object is an error."""
    for name in names:
        if name not in form.cleaned_data:
            continue
        value = form.cleaned_data[name]
        if value is None:
            form.cleaned_data[name] = {}
        elif not isinstance(value, dict):
            form.add_error(name, 'Write a JSON object, such as {"temperature": 0.2}.')
