"""The errors of the project: each has a code for machines and a sentence for people that says what to do."""


class SafetyError(Exception):
    """What went wrong and what to do about it, in one or two sentences.

    ``code`` is stable and meant for programs; ``status`` is the HTTP status that a web door answers with;
    ``transient`` says whether trying again later may help.
    """

    code = "error"
    status = 500
    transient = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code


class InputError(SafetyError):
    """The caller gave something that cannot be used: a wrong option, a missing file, a broken row."""

    code = "invalid"
    status = 400


class ForbiddenError(SafetyError):
    """Whoever asks may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(SafetyError):
    code = "not_found"
    status = 404


class ConflictError(SafetyError):
    """The thing is not in a state in which this can be done."""

    code = "conflict"
    status = 409


class ProviderError(SafetyError):
    """A provider that cannot work at all: no key, no access to a gated model, a missing package or file."""

    code = "provider_unavailable"
    status = 503


class TransientError(SafetyError):
    """A call that failed and may work when tried again. ``retry_after`` is in seconds, when the other side named it."""

    code = "temporarily_unavailable"
    status = 503
    transient = True

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


def openai_error(error: SafetyError, status: int | None = None) -> dict[str, str | None]:
    """An error as OpenAI's protocol writes it, under ``status`` or the error's own."""
    status = status or error.status
    kind = "requests" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
    return {"message": error.message, "type": kind, "param": getattr(error, "param", None), "code": error.code}
