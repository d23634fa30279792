"""Groups of people as the pipeline's evaluation knows them, so that both tell the same of a row."""

AGE_BANDS = (10, 20, 30, 40, 50, 60)  # years at which a new band begins


def group_of(kind: str, text: str) -> str:
    """The group of a row, "" where the data does not tell it; `kind` is "gender" or "age"."""
    return _age_band(text) if kind == "age" and text else text


def _age_band(age: str) -> str:
    """The band of an age in years; a data set's own bands ("20-29") stay as they are."""
    try:
        years = float(age)
    except ValueError:
        return age
    low = max((start for start in AGE_BANDS if start <= years), default=0)
    high = min((start for start in AGE_BANDS if start > years), default=None)
    return f"{low}-{high - 1}" if high else f"{low}+"
