"""The questions of "You be the judge", and the verdicts of metrics on them."""
