"""What is everybody's own: his account, his password, his sign-ins."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from leadnurture import access
from leadnurture.domain.vocabulary import Track
from leadnurture.errors import InvalidInputError
from leadnurture.web.desk import acting_as
from leadnurture.web.doorkeeper import READ
from leadnurture.web.entrance import our_own, signed_out
from leadnurture.web.site import Here, Site

router = APIRouter()
Field = Annotated[str, Form()]


@router.api_route("/account", methods=READ)
def show_account(site: Here, track: Track = "prospects", done: str = "") -> HTMLResponse:
    """Who I am here, and what I may change about it."""
    return _page(site, track=track, done="Your password is changed." if done == "password" else "")


def _page(
    site: Site, *, track: Track = "prospects", done: str = "", said: str = "", status: int = 200
) -> HTMLResponse:
    me = site.whoever
    with site.project.database.read() as connection:
        everybody = access.users(connection, site.machine_clock())
    mine = next((user for user in everybody if user.id == me.user_id), None)
    values = {
        "section": "/account",
        "track": track,
        "user": mine,
        "person": acting_as(site, me.name),
        "done": done,
        "said": said,
    }
    return site.page("account.html", values, status=status)


@router.post("/account/password")
def change_password(
    request: Request, site: Here, present: Field = "", new: Field = "", again: Field = ""
) -> Response:
    """Another password; every other browser is signed out, and this one gets a new sign-in."""
    project, user_id, machine_now = site.project, _own_user(site), site.machine_clock()
    if new != again:
        return _page(site, said="The new password was not typed the same way twice.", status=422)
    try:
        access.change_password(project.database, user_id, present, new, project.clock(), machine_now)
    except InvalidInputError as error:
        return _page(site, said=str(error), status=422)
    response = RedirectResponse("/account?done=password", 303)
    token = access.begin_again(project.database, user_id, machine_now)
    response.headers.append("Set-Cookie", our_own(request).cookie(request, token))
    return response


@router.post("/account/sign-out-everywhere")
def sign_out_everywhere(request: Request, site: Here) -> Response:
    """Signs out in every browser, this one included."""
    project, me = site.project, site.whoever
    access.end_sign_ins(project.database, _own_user(site), me.name, project.clock())
    return signed_out(request, site)


def _own_user(site: Site) -> int:
    if site.whoever.user_id is None:
        raise InvalidInputError("You sign in elsewhere: that is where your password and your sign-ins are.")
    return site.whoever.user_id
