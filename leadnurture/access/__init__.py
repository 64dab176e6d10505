"""Hides who may come in: users with their passwords, their sign-ins, and the keys of other systems.

Commands and pages call the same functions; each keeps who did what in the transaction of the act.
"""

from leadnurture.access.browsers import Browsers, Shown
from leadnurture.access.keys import ApiKey, add_key, keys, revoke_key, scopes_of, take_up_key
from leadnurture.access.sign_ins import (
    LASTS,
    SignedIn,
    TryLater,
    Visitor,
    begin_again,
    end_sign_in,
    end_sign_ins,
    sign_in,
    signed_in,
)
from leadnurture.access.users import (
    User,
    add_first_user,
    add_user,
    change_password,
    give_password,
    has_users,
    name_key,
    remove_user,
    set_role,
    user_named,
    users,
)

__all__ = [
    "LASTS",
    "ApiKey",
    "Browsers",
    "Shown",
    "SignedIn",
    "TryLater",
    "User",
    "Visitor",
    "add_first_user",
    "add_key",
    "add_user",
    "begin_again",
    "change_password",
    "end_sign_in",
    "end_sign_ins",
    "give_password",
    "has_users",
    "keys",
    "name_key",
    "remove_user",
    "revoke_key",
    "scopes_of",
    "set_role",
    "sign_in",
    "signed_in",
    "take_up_key",
    "user_named",
    "users",
]
