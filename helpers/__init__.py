"""Shared helpers of the image difference detection course; importing this package loads nothing heavy."""
