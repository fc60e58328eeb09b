"""Who wants no more texts is understood, in his words; who means something else is not silenced."""

import pytest

from notifications.opt_out import Wish, wish_of


@pytest.mark.parametrize(
    "body", ["STOP", "stop", " Stop\n", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
)
def test_twilios_stop_words_are_seen_by_twilio_too(body: str) -> None:
    assert wish_of(body) == (Wish.STOP, True)


@pytest.mark.parametrize("body", ["START", "yes", "Unstop"])
def test_start_words(body: str) -> None:
    assert wish_of(body) == (Wish.START, True)


@pytest.mark.parametrize("body", ["HELP", "info"])
def test_help_words(body: str) -> None:
    assert wish_of(body) == (Wish.HELP, True)


@pytest.mark.parametrize(
    "body",
    [
        "Please stop", "please stop!!", "STOP.", "Stop it now", "stop texting me", "Pls stop sending me these",
        "I want to unsubscribe", "opt out", "Opt me out please", "no more texts please", "Don't text me again",
        "do not contact this number", "Remove me from your list", "take my number off", "leave me alone",
        "I can't unsubscribe from this",
        "Who is this? Stop messaging me, I never ordered anything",
        "STOP STOP STOP", "stop 🛑", "end this please",
        "I don't agree. Unsubscribe", "I do not consent, opt out", "don't bother, unsubscribe me", "Don't text. Stop!",
        "do not reply. Stop", "Not interested, stop", "wrong number stop", "I never signed up, stop", "stop all texts",
        "STOP ALL", "stop sending me messages about this", "stop sending these", "don't send me any more texts",
        "delete my number please", "remove this number from your list now", "No more messages!",
        "No más mensajes, por favor", "basta", "dejen de enviarme mensajes", "quiero darme de baja",
        "Bitte keine SMS mehr", "Stopp bitte", "nicht mehr schreiben", "Ich möchte mich abmelden",
        "配信停止", "もう送らないでください", "やめてください",
    ],
)  # fmt: skip
def test_a_sentence_that_asks_to_stop_is_ours_to_see(body: str) -> None:
    assert wish_of(body) == (Wish.STOP, False)


@pytest.mark.parametrize(
    "body",
    [
        "Thanks!", "1", "ACK", "", "Please stop by the office", "Does the bus stop near you?",
        "Don't stop the delivery",
        "please don't stop texting me", "When does it end?", "Can I cancel my order 17?",
        "the end", "yes please", "stop order 1017 and send the blue one", "ありがとう", "Wann kommt das Paket an?",
        "never stop", "no",
        "On it, will take me 10 minutes", "ack, it will take me a while", "stop all the pods ok",
        "we stop sending traffic to it", "fixed, no more messages in the queue", "Are there any more messages?",
        "Can you delete this number from the order?", "I do not want to unsubscribe", "don't ever stop, please",
        "Is it the last stop, or is there one more", "remove me from the rota tomorrow",
    ],
)  # fmt: skip
def test_what_means_something_else_is_no_opt_out(body: str) -> None:
    assert wish_of(body)[0] is not Wish.STOP


@pytest.mark.parametrize("kind", ["STOP", "START", "HELP"])
def test_advanced_opt_out_knows_better_than_the_words(kind: str) -> None:
    assert wish_of("ARRETE", kind) == (Wish(kind.lower()), True)
    assert wish_of("hello", "SOMETHING") == (None, False)
