"""One file a command of `whatchanged`."""
