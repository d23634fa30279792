"""Content types of requests and answers."""

CSV, JSON, JPEG, PNG = "text/csv", "application/json", "image/jpeg", "image/png"
ANSWERS = (CSV, JSON)  # the types that answers are written in
