"""What is called how in Temporal: the API, the worker and operators all use these words."""

TASK_QUEUE = "heliograph"  # workflows and everything but sends
WEBHOOK_QUEUE = "heliograph-webhooks"  # callers' endpoints, so that slow ones hold up nothing else
SEND_QUEUE = "heliograph-send"  # sends alone, so that the account's rate can be set on the queue

DELIVER = "deliver"
ASK_CARRIER = "ask-carrier"
TELL_OPERATORS = "tell-operators"
REPORT_TO_CALLER = "report-to-caller"
POST_WEBHOOK = "post-webhook"
GIVE_UP_WEBHOOK = "give-up-webhook"
RECONCILE = "reconcile"
PURGE = "purge"
TURN_TO = "turn-to-step"
ADMIT = "admit-alert"
CLOSE_DIGEST = "close-digest"
RESOLVE = "resolve-incident"
DROP_STALE = "drop-stale"
EXPIRE = "expire"

# Schedules, and their workflows' IDs: no event ID holds a slash.
RECONCILIATION = "heliograph/reconciliation"
RETENTION = "heliograph/retention"

FINAL_STATUS = "final-status"  # signal: Twilio's final status callback
RESEND = "resend"  # signal: an operator has ordered another leg
SECOND_MESSAGE = "second-message"  # signal: two messages report for one leg
SEND_AGAIN = "send-again"  # signal: an operator has ordered a webhook to be sent now
CANCEL = "cancel"  # update: a text that is held is not sent
RESCHEDULE = "reschedule"  # update: a text that is held, and all that follow, get other times
ACKNOWLEDGE = "acknowledge"  # update: somebody takes care of it
ACCEPTED = "accepted"  # update: answers when Twilio has accepted or refused

# Types of the failures of `deliver`.
REFUSED = "Refused"  # Twilio answered 4xx
SUPPRESSED = "Suppressed"  # our own rules forbid it
TOO_LATE = "TooLate"  # of the `cancel` update: it is being sent, or has ended
HELD = "Held"  # quiet hours at the recipient's; retried when they end
STALE = "Stale"  # too late to be worth sending; it was not sent
OUTCOME_UNKNOWN = "OutcomeUnknown"  # it may have been sent
NOT_ACCEPTED = "NotAccepted"  # 429 or no connection; retried
ENDPOINT_GONE = "EndpointGone"  # of `post-webhook`: 410; nothing is sent there any more
SERVER_ERROR = "ServerError"  # 5xx; retried, after a look-up
