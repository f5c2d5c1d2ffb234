"""Sign-in: who asks, what that one may do, and the record of what was decided.

principal      who asks                          scopes          what may be done; the four roles
authenticator  whose credential this is          tokens          credentials made here
keys           API keys                          sessions        what a sign-in gives
bootstrap      the key that a deployment brings
oidc           tokens of identity providers      provider_keys   their public keys, kept
directory      LDAP and Active Directory         ldap_…          connections, filters, pool
attempts       guessing made slow                audit           the record

Nothing here knows HTTP; `tabular.api.gate` asks it for every request. Import from the modules: who
needs a `Principal` alone, such as a command line that reads plans, needs no database.
"""
