import shutil
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from leadnurture.app import Project, send_notices
from leadnurture.sales import assign_handoffs
from leadnurture.settings import load_settings
from leadnurture.store import Database
from tests.profile.rows import NOW, ROOT, add_handoff, add_lead, apply


def test_a_notice_leaves_as_a_mail_with_an_id_of_its_own(database: Database, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "templates" / "notice", tmp_path / "templates" / "notice")
    project = Project(load_settings(tmp_path), database)
    apply(database)
    with database.write() as connection:
        add_handoff(connection, add_lead(connection, country="AT"))
    assign_handoffs(database, NOW)
    assert send_notices(project, NOW).sent == 1
    (file,) = project.settings.outbox.glob("*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert (file.name, mail["Message-ID"]) == ("notice-1.eml", "<notice-1@example.com>")
