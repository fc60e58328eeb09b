"""What a phone number does to the texts and calls that are made to it: the fault knobs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Knob(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid")


class Step(_Knob):
    """What one attempt to create a message or a call meets."""

    fault: Literal["none", "429", "500", "hang", "reset", "slow"]
    accept: bool = False
    """Whether it is taken all the same (500, hang, reset)."""
    retry_after: float | None = None
    status: int = Field(500, ge=500, le=599)
    seconds: Seconds = 5


class Callbacks(_Knob):
    """What becomes of the status callbacks."""

    lose: list[str] | Literal["all"] = []
    repeat: int = Field(1, ge=1, le=20)
    """How often each one is sent."""
    reorder: bool = False
    """The final one overtakes the others."""
    early: bool = False
    """They are sent before the answer to the create request."""
    delay: Seconds = 0
    contradict: Literal["delivered", "undelivered", "failed"] | None = None
    """Another final status that is called back afterwards."""
    contradict_after: Seconds = 0.5
    bad_signature: bool = False


class Scenario(_Knob):
    """The behaviour of one number."""

    outcome: Literal["delivered", "undelivered", "failed", "sent", "queued", "refused"] = "delivered"
    """`sent` gets no final status ever, `queued` never leaves, `refused` is answered with `errorCode` at once."""
    error_code: int | None = None
    sent_after: Seconds | None = None
    """Until a text is `sent`, or a call rings."""
    final_after: Seconds | None = None
    """Until a text has its final status, or a call is answered or not."""
    call: Literal["answered", "busy", "no-answer", "failed"] = "answered"
    press: Annotated[str, Field(pattern=r"^[0-9*#]+$")] | None = None
    """What the person keys in by himself, as soon as he is asked and the words are spoken."""
    pace: float = Field(1, gt=0, le=1000)
    """How many times faster than life a call goes on: its words, pauses, and waits for a key or an answer."""
    create: list[Step] = []
    """Consumed one by one, an attempt each."""
    create_forever: Step | None = None
    """Met by every attempt after those."""
    callbacks: Callbacks = Callbacks()
    verify_error: int | None = None
    """The error that Verify answers for this number."""
    verify_code: Annotated[str, Field(pattern=r"^[0-9]{4,10}$")] | None = None
    """The code that Verify sends next; a random one without it."""
    verify_start: list[Step] = []
    verify_check: list[Step] = []
    """Consumed one by one, by a start or a check each."""
    list_lag: Seconds = 0
    """For how long a message or call is missing from lists."""
    fetch_lag: Seconds = 0

    @property
    def code(self) -> int | None:
        """The error code that goes with the outcome."""
        return self.error_code or {"undelivered": 30003, "failed": 30008, "refused": 21211}.get(self.outcome)
