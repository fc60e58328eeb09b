"""E.164 always; national form with its region; what cannot be texted is refused."""

from contextlib import suppress

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import phone

regions = st.sampled_from(sorted(phone.REGIONS))


@pytest.mark.parametrize("number", ["+15558675310", "+4915123456789", "+442071838750", "+18777804236"])
def test_e164_passes_as_it_is(number: str) -> None:
    assert phone.normalise(number) == number


@pytest.mark.parametrize(
    ("national", "region", "e164"),
    [
        ("(555) 867-5310", "US", "+15558675310"),
        ("0151 23456789", "DE", "+4915123456789"),
        ("07400 123456", "GB", "+447400123456"),
    ],
)
def test_national_form_passes_with_its_region(national: str, region: str, e164: str) -> None:
    assert phone.normalise(national, region) == e164


def test_e164_of_another_country_passes_with_a_region() -> None:
    assert phone.normalise("+4915123456789", "US") == "+4915123456789"


@pytest.mark.parametrize(
    "text",
    [
        "5558675310",
        "15558675310",
        "+1 555 867 5310",
        "+0155586753",
        "+1555",
        "+" + "1" * 16,
        "",
        "+",
        "１５５５８６７５３１０",
        "+15558675310;ext=5",
    ],
)
def test_what_is_not_e164_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(phone.InvalidPhone, match=r"example \+15558675310"):
        phone.normalise(text)


@pytest.mark.parametrize("text", ["1-800-FLOWERS", "+1 555 867 5310 ext. 5", "tel:+15558675310", "555-8675310\n"])
def test_national_form_holds_digits_and_signs_only(text: str) -> None:
    with pytest.raises(phone.InvalidPhone):
        phone.normalise(text, "US")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (phonenumbers.PhoneNumberType.PREMIUM_RATE, "premium-rate"),
        (phonenumbers.PhoneNumberType.SHARED_COST, "shared-cost"),
        (phonenumbers.PhoneNumberType.PAGER, "pager"),
        (phonenumbers.PhoneNumberType.UAN, "universal access"),
        (phonenumbers.PhoneNumberType.VOICEMAIL, "voicemail"),
    ],
)
def test_numbers_that_are_nobodys_own_phone_are_refused_with_the_reason(kind: int, reason: str) -> None:
    examples = [phonenumbers.example_number_for_type(region, kind) for region in sorted(phone.REGIONS)]
    found = [example for example in examples if example and phonenumbers.number_type(example) == kind]
    assert found
    for example in found:
        with pytest.raises(phone.RefusedPhoneType, match=reason):
            phone.normalise(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))


def test_a_toll_free_number_passes() -> None:
    assert phone.normalise("+18777804236") == "+18777804236"  # Twilio's virtual phone is one


def test_a_range_that_the_library_does_not_know_passes() -> None:
    assert not phonenumbers.is_valid_number(phonenumbers.parse("+15558675310"))
    assert phone.country_of(phone.normalise("+15558675310")) == "US"


@given(regions)
def test_every_regions_example_mobile_is_the_same_in_both_forms(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    assert phone.normalise(e164) == e164
    assert phone.normalise(national, region) == e164
    assert phone.country_of(e164)


@given(st.text(max_size=40), st.none() | regions)
def test_any_text_is_e164_or_refused(text: str, region: str | None) -> None:
    with suppress(phone.InvalidPhone):
        assert phone.E164.fullmatch(phone.normalise(text, region))


@given(st.from_regex(r"[0-9]{6,20}", fullmatch=True))
def test_a_refusal_does_not_repeat_the_number(text: str) -> None:
    with pytest.raises(phone.InvalidPhone) as refused:
        phone.normalise(text)
    assert text not in str(refused.value)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_normalising_twice_changes_nothing(number: str) -> None:
    try:
        once = phone.normalise(number)
    except phone.InvalidPhone:
        return
    assert phone.normalise(once) == once
    assert phone.national_digits(once)
