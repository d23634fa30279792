"""What can be wrong with input, whoever sent it; the edges turn these into messages."""


class BadInputError(Exception):
    """The input cannot be used; the text says what is wrong, where, and what to do."""


class MalformedError(BadInputError):
    """It does not have the agreed form."""


class OutOfRangeError(BadInputError):
    """It has the form, but holds a value that no image has."""


class NotAnImageError(BadInputError):
    """The bytes are no JPEG or PNG image that can be decoded."""


class TooLargeError(BadInputError):
    """It is larger than we accept."""
