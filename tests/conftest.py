"""What every test shares."""

from hypothesis import settings

# No deadline: a busy machine must not fail a law. The same examples for everybody: a failure can be repeated.
settings.register_profile("textbank", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("textbank")
