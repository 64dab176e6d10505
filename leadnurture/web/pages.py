"""The pages of the tool. They read, and change nothing; what they post goes to the doors.

There is no sign-in yet, so they answer to this machine alone, and only under its own name: a website that
lets its name point to this machine would otherwise read them through a browser on it.
"""

import re
from typing import Final

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse

from leadnurture import mail
from leadnurture.web.guard import POLICY_OF_MAIL
from leadnurture.web.site import Here

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
HEAD: Final = re.compile(r"<head[^>]*>", re.IGNORECASE)
# A frame without the right to open windows: links that open one do nothing.
DEAD_LINKS: Final = '<base target="_blank">'


def keep_here(request: Request) -> None:
    """Refuses whoever is not on this machine."""
    caller = request.client.host if request.client else ""
    if caller not in LOOPBACK or request.url.hostname not in LOOPBACK:
        raise HTTPException(
            403, "The pages of the tool open on its own machine only, under http://127.0.0.1."
        )


router = APIRouter(dependencies=[Depends(keep_here)], default_response_class=HTMLResponse)


@router.get("/outbox/{message_id}/html")
def show_mail(message_id: int, site: Here) -> HTMLResponse:
    """The HTML of a mail as it was sent, for a frame: it may run nothing, ask nobody and lead nowhere."""
    with site.project.database.read() as connection:
        shown = mail.show(connection, message_id)
    html = HEAD.sub(lambda found: found[0] + DEAD_LINKS, shown.html, count=1)
    if html == shown.html:
        html = DEAD_LINKS + html
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY_OF_MAIL})
