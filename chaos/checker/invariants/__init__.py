"""The promises, each a function from the evidence to a finding. Their order is the order of the output."""

from collections.abc import Callable

from chaos.checker.evidence import Evidence
from chaos.checker.finding import Finding
from chaos.checker.invariants import delivery, endings, intake, limits, own_words

INVARIANTS: tuple[Callable[[Evidence], Finding], ...] = (
    endings.accounted_for,
    endings.reasons_are_true,
    delivery.order,
    delivery.no_phantoms,
    delivery.none_twice_where_a_person_is_asked,
    delivery.each_repetition_explained,
    limits.nothing_after_its_expiry,
    limits.one_probe,
    limits.retry_after_kept,
    endings.nothing_in_limbo,
    own_words.completed_was_seen,
    own_words.figures_are_the_outside_count,
    endings.poison_found_out,
    intake.bad_input_left_nothing,
    intake.taken_in_once,
)
