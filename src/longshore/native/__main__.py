"""`python -m longshore.native` says whether the native inner loops can be used here."""

from longshore.native import state

print(state())
