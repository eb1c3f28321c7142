"""What every test shares: how many examples the property tests try.

``pytest --hypothesis-profile=thorough`` tries many and new ones; the default tries the same ones each time, so that a
red build is about the change at hand.
"""

from hypothesis import settings

settings.register_profile("repeatable", max_examples=40, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("repeatable")
