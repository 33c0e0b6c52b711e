"""One file a model; each is imported by name, as `from whatchanged.models import resnet18`."""
