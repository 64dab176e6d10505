"""Domains under which anybody may have an address: they say nothing of an account."""

from typing import Final

FREE_MAIL: Final = frozenset(
    """
    163.com 126.com aol.com arcor.de att.net bigpond.com bluewin.ch btinternet.com charter.net comcast.net cox.net fastmail.com
    free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hey.com hotmail.co.uk hotmail.com hotmail.de
    hotmail.fr hotmail.it icloud.com inbox.com kabelmail.de laposte.net libero.it live.com live.de mac.com mail.com mail.de
    mail.ru mailbox.org me.com msn.com naver.com orange.fr outlook.com outlook.de posteo.de posteo.net proton.me protonmail.com
    qq.com rambler.ru rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr sky.com t-online.de tiscali.it tuta.com
    tutanota.com verizon.net virgilio.it vodafone.de wanadoo.fr web.de wp.pl yahoo.co.uk yahoo.com yahoo.de yahoo.fr yandex.com
    yandex.ru ymail.com zoho.com
    """.split()
)
