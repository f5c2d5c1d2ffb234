"""This machine as a place to deploy to: the same platform, no cloud and no account needed.

`provider` is the front; `compile` and `template` make the stack; `engine` is the client's side of
the apply and `supervisor` the side that does it.
"""
