"""The course's own machinery: `python -m course`."""
