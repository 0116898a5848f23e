"""Requests: a frozen dataclass for each verb, the only place where its options are named. Nothing here loads torch."""
