"""The ways an action can end badly, and how each is told to CodePipeline."""

LIMIT = 5_000  # characters of PutJobFailureResult's message
HINTS = {
    "ResourceLimitExceeded": "ask for a higher quota (Service Quotas) or use another instance type",
    "ThrottlingException": "retry the stage",
}
PERMISSION_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


class ActionFailed(Exception):
    """The action's own work went wrong; the message is the reason that the pipeline shows."""

    failure_type = "JobFailed"


class WrongConfiguration(ActionFailed):
    """Somebody has to change a parameter, a template or the data before a retry can help."""

    failure_type = "ConfigurationError"


def error_code(error: BaseException) -> str:
    """Return AWS's code of a botocore ClientError, '' for anything else."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def error_message(error: BaseException) -> str:
    """Return AWS's message of a botocore ClientError, '' for anything else."""
    return getattr(error, "response", {}).get("Error", {}).get("Message", "")


def failure_type(error: BaseException) -> str:
    """Choose among CodePipeline's failure types."""
    if error_code(error) in PERMISSION_CODES:
        return "PermissionError"
    return getattr(error, "failure_type", "JobFailed")


def reason(error: BaseException) -> str:
    """Say what went wrong in at most LIMIT characters: our own words, AWS's, or the bug's."""
    if isinstance(error, ActionFailed):
        text = str(error)
    elif hint := HINTS.get(error_code(error)):
        text = f"{error}; {hint}"
    elif error_code(error):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error} (unexpected; the function's log has the traceback)"
    return clipped(text)


def clipped(text: str, limit: int = LIMIT) -> str:
    """Cut text to limit characters and show that it was cut; never empty (AWS refuses that)."""
    text = text.strip() or "no reason was given"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_missing(error: BaseException) -> bool:
    """Tell whether SageMaker said that the thing asked for does not exist."""
    if error_code(error) in {"ResourceNotFound", "ResourceNotFoundException"}:
        return True
    message = error_message(error).lower()
    return error_code(error) == "ValidationException" and (
        "could not find" in message or "not found" in message
    )


def exists_already(error: BaseException) -> bool:
    """Tell whether SageMaker refused a create call because the name is taken."""
    if error_code(error) in {"ResourceInUse", "ResourceInUseException"}:
        return True
    return error_code(error) == "ValidationException" and (
        "already exist" in error_message(error).lower()
    )
