"""One file a model; each is imported by name, as `from helpers.models import resnet18`."""
