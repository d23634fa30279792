"""The API's errors: a code for programs, a message for people."""

STATUS = {
    "bad_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "too_large": 413,
    "unsupported_media_type": 415,
    "not_an_image": 422,
    "throttled": 429,
    "internal_error": 500,
    "model_error": 502,
    "not_deployed": 503,
    "timeout": 504,
}


class ApiError(Exception):
    """An answer other than 200."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, STATUS[code], message
