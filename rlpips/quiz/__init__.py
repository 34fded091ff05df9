"""The questions of "You be the judge", and what metrics answer."""
