"""What Twilio's errors mean to people, and what an HTTP answer means for the message."""

import re
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.cause import Cause, Remedy, Who
from notifications.causes import CATALOGUE, Answer, answer_of, cause_of
from notifications.causes_at_delivery import AT_DELIVERY
from notifications.causes_at_request import AT_REQUEST
from notifications.verify_causes import VERIFY_CATALOGUE, verify_cause_of
from settings import Settings

# The codes that sending a text can answer (https://www.twilio.com/docs/api/errors) ...
CODES_AT_REQUEST = {
    *(10001, 20001, 20003, 20005, 20006, 20008, 20404, 20409, 20422, 20429, 20500, 20503),
    *(21211, 21212, 21214, 21265, 21266, 21408),
    *(21601, 21602, 21603, 21604, 21605, 21606, 21607, 21608, 21609, 21610, 21611, 21612, 21614, 21616),
    *(21617, 21618, 21619, 21620, 21621, 21622, 21623, 21624, 21635),
    *(21654, 21655, 21656, 21657, 21658, 21659, 21660, 21670),
    *(21701, 21702, 21703, 21704, 21705, 21708, 21709, 21711),
    *(30045, 30400, 35111, 35114, 35115, 35117, 35125, 35126, 60728, 63017, 63038, 90007),
}
# ... those that come later, with the callback ...
CODES_AT_DELIVERY = {
    *(30001, 30002, 30003, 30004, 30005, 30006, 30007, 30008, 30009, 30010, 30011, 30012, 30013, 30014),
    *(30015, 30016, 30017, 30018, 30019, 30020, 30021, 30022, 30023, 30024, 30025, 30026, 30027),
    *(30032, 30033, 30034, 30035, 30036, 30039, 30410, 30450, 30453, 30454, 30500, 30610, 30640),
    *(63016, 63024),
}
# ... and those of Verify.
CODES_AT_VERIFY = {
    *(20404, 20429, 60200, 60202, 60203, 60204, 60205, 60207, 60212, 60217, 60220, 60221, 60223, 60238),
    *(60410, 60413, 60605),
}

# Codes that Twilio itself calls passing; with a 4xx other than 429 we do not repeat even those.
TRANSIENT_CODES = (20429, 21611, 20409, 63017, 63038, 60728, 60212)

EVERY_TEXT = [*CATALOGUE.values(), *VERIFY_CATALOGUE.values(), cause_of(21999), cause_of(39999), cause_of(-1)]

statuses = st.integers() | st.integers(min_value=100, max_value=599)
codes = st.none() | st.sampled_from(TRANSIENT_CODES) | st.sampled_from(sorted(CATALOGUE)) | st.integers()


def test_every_code_of_a_request_is_known():
    assert {cause.code for cause in AT_REQUEST} >= CODES_AT_REQUEST


def test_every_code_of_a_delivery_is_known():
    assert {cause.code for cause in AT_DELIVERY} >= CODES_AT_DELIVERY


def test_every_code_of_verify_is_known():
    assert VERIFY_CATALOGUE.keys() >= CODES_AT_VERIFY


def test_no_code_is_told_twice():
    assert len(CATALOGUE) == len(AT_REQUEST) + len(AT_DELIVERY)


def test_each_code_leads_to_its_own_cause():
    assert all(cause_of(code).code == code for code in CATALOGUE)
    assert all(verify_cause_of(code).code == code for code in VERIFY_CATALOGUE)


def test_a_cause_links_to_the_page_of_its_code():
    assert cause_of(30034).url == "https://www.twilio.com/docs/api/errors/30034"


def test_nobody_can_change_the_catalogue():
    with pytest.raises(TypeError):
        CATALOGUE[21610] = cause_of(21611)  # type: ignore[index]
    with pytest.raises(AttributeError):
        cause_of(21610).suppresses = False  # type: ignore[misc]


# The texts are read by people who do not know Twilio.


def test_each_text_is_made_of_whole_sentences():
    for cause in EVERY_TEXT:
        for text in (cause.says, cause.do):
            assert re.fullmatch(r"[A-Z][^\n]*[^.\s]\.", text), cause


def test_what_a_cause_says_is_one_sentence_and_what_to_do_at_most_two():
    assert [cause for cause in EVERY_TEXT if len(_sentences(cause.says)) != 1] == []
    assert [cause for cause in EVERY_TEXT if len(_sentences(cause.do)) > 2] == []


def test_no_text_holds_a_placeholder():
    assert _texts_with(r"[{}<>]|%[sd]|\b(TODO|TBD|FIXME|XXX)\b|\.\.\.|…") == []


def test_no_text_holds_a_phone_number():
    assert _texts_with(r"\+\d|\b\d{6,}\b") == []


def test_no_text_names_a_price():
    assert _texts_with(r"[$€£]|\b(USD|EUR|cents?)\b") == []


def test_every_setting_that_a_text_names_exists():
    texts = " ".join(cause.says + cause.do for cause in EVERY_TEXT)
    named = {name.lower() for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", texts)}
    assert "twilio_from_number" in named
    assert named <= Settings.model_fields.keys()


# Who acts, and what cures it.


def test_21610_suppresses_the_number_and_is_never_repeated():
    opted_out = cause_of(21610)
    assert opted_out.suppresses
    assert opted_out.remedy is Remedy.PERMANENT
    assert opted_out.acts is Who.RECIPIENT
    assert "START" in opted_out.do


def test_no_other_code_suppresses_a_number():
    assert [cause.code for cause in EVERY_TEXT if cause.suppresses] == [21610]


def test_30004_is_an_opt_out_on_toll_free_only_and_says_so():
    blocked = cause_of(30004)
    assert not blocked.suppresses
    assert "toll-free" in blocked.do
    assert "START" in blocked.do


def test_what_may_have_been_sent_is_not_repeated_before_somebody_asked():
    ambiguous = {cause.code for cause in CATALOGUE.values() if cause.remedy is Remedy.AMBIGUOUS}
    assert ambiguous == {20500, 20503, 30410}


def test_only_what_was_surely_not_processed_may_be_repeated_at_once():
    at_once = {cause.code for cause in EVERY_TEXT if cause.remedy is Remedy.RETRY}
    assert at_once == {20429, 60212}


@pytest.mark.parametrize("code", [30001, 30003, 30008, 30017, 30022, 30023, 30027, 30450, 30453, 63038])
def test_a_limit_or_an_absent_handset_passes_with_time(code: int):
    assert cause_of(code).remedy is Remedy.DELAY


@pytest.mark.parametrize("code", [20003, 21408, 21606, 21608, 21703, 30002, 30018, 30032, 30033, 30034])
def test_a_missing_setting_or_registration_is_for_the_operator(code: int):
    assert (cause_of(code).acts, cause_of(code).remedy) == (Who.OPERATOR, Remedy.CONFIGURATION)


@pytest.mark.parametrize("code", [21211, 21614, 21635, 30005, 30006])
def test_a_number_that_cannot_get_texts_is_for_the_caller(code: int):
    assert (cause_of(code).acts, cause_of(code).remedy) == (Who.CALLER, Remedy.PERMANENT)


def test_settings_and_registrations_are_changed_by_operators_or_developers():
    others = {Who.CALLER, Who.RECIPIENT, Who.TWILIO}
    assert [c for c in EVERY_TEXT if c.remedy is Remedy.CONFIGURATION and c.acts in others] == []


def test_verify_tells_an_ended_verification_from_a_wrong_account():
    assert cause_of(20404).remedy is Remedy.CONFIGURATION
    assert verify_cause_of(20404).acts is Who.CALLER


def test_too_many_checks_are_not_mistaken_for_too_many_sends():
    assert "entered" in verify_cause_of(60202).says
    assert "sent" in verify_cause_of(60203).says


def test_verify_shares_the_other_codes_with_messaging():
    assert verify_cause_of(20003) is cause_of(20003)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (21999, Remedy.PERMANENT),
        (29999, Remedy.PERMANENT),
        (30000, Remedy.DELAY),
        (39999, Remedy.DELAY),
        (40000, Remedy.PERMANENT),
        (0, Remedy.PERMANENT),
        (-30001, Remedy.PERMANENT),
    ],
)
def test_an_unknown_code_is_answered_honestly(code: int, remedy: Remedy):
    unknown = cause_of(code)
    assert unknown.says == f"Twilio error {code} is not in Heliograph's catalogue."
    assert unknown.url in unknown.do
    assert (unknown.remedy, unknown.suppresses) == (remedy, False)


@given(st.integers())
def test_any_code_has_a_cause(code: int):
    assert cause_of(code).code == verify_cause_of(code).code == code


# What an HTTP answer means for the message.


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_accepted(status: int):
    assert answer_of(status, None) is Answer.ACCEPTED


@pytest.mark.parametrize("code", [20429, 21611, None, 99999])
def test_429_was_not_accepted_and_is_repeated(code: int | None):
    assert answer_of(429, code) is Answer.NOT_ACCEPTED


def test_21611_is_a_429_that_passes_with_time():
    assert answer_of(429, 21611) is Answer.NOT_ACCEPTED
    assert cause_of(21611).remedy is Remedy.DELAY


def test_an_opted_out_recipient_is_refused():
    assert answer_of(400, 21610) is Answer.REFUSED


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize("code", TRANSIENT_CODES)
def test_a_passing_error_is_refused_all_the_same_unless_it_is_a_429(status: int, code: int):
    assert answer_of(status, code) is Answer.REFUSED


@pytest.mark.parametrize("code", [None, 20500, 20503, 21211])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_5xx_may_have_been_sent(status: int, code: int | None):
    assert answer_of(status, code) is Answer.NOT_KNOWN


@pytest.mark.parametrize("code", [None, 21211])
def test_408_may_have_been_sent_like_any_time_out(code: int | None):
    assert answer_of(408, code) is Answer.NOT_KNOWN


@pytest.mark.parametrize("status", [-429, -1, 0, 99, 100, 103, 199, 300, 301, 302, 307, 399, 600, 999, 4290])
def test_redirects_and_nonsense_tell_nothing(status: int):
    assert answer_of(status, 21211) is Answer.NOT_KNOWN


@given(statuses, codes)
def test_every_answer_is_sorted(status: int, code: int | None):
    assert answer_of(status, code) in Answer


@given(statuses, codes)
def test_the_status_decides_and_never_the_code(status: int, code: int | None):
    assert answer_of(status, code) is answer_of(status, None)


@given(st.integers(min_value=400, max_value=499).filter(lambda status: status not in (408, 429)), codes)
def test_a_4xx_is_never_repeated(status: int, code: int | None):
    assert answer_of(status, code) is Answer.REFUSED


def test_no_code_that_we_know_makes_a_4xx_repeated():
    known = (None, *CATALOGUE, *VERIFY_CATALOGUE)
    final = [status for status in range(400, 500) if status not in (408, 429)]
    assert {answer_of(status, code) for status in final for code in known} == {Answer.REFUSED}


@given(statuses, codes)
def test_only_a_429_is_repeated_without_looking_it_up(status: int, code: int | None):
    assert (answer_of(status, code) is Answer.NOT_ACCEPTED) == (status == HTTPStatus.TOO_MANY_REQUESTS)


@given(statuses, codes)
def test_only_a_2xx_is_called_accepted(status: int, code: int | None):
    assert (answer_of(status, code) is Answer.ACCEPTED) == (200 <= status <= 299)


def _texts_with(pattern: str) -> list[Cause]:
    return [cause for cause in EVERY_TEXT if re.search(pattern, cause.says + " " + cause.do)]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text)
