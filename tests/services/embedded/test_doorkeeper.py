"""Who may come in, from files that change under the gate's eyes."""

from pathlib import Path

import pytest

from services import access
from services.embedded.doorkeeper import Doorkeeper

PASSWORDS = f"QT-GW-205:{access.hashed('secret')}\n"
ACL = "user QT-GW-205\ntopic write tongluo/v1/QT-GW-205/#\n"


@pytest.fixture
def doorkeeper(tmp_path: Path) -> Doorkeeper:
    (tmp_path / "passwords").write_text(PASSWORDS)
    (tmp_path / "acl").write_text(ACL)
    found = Doorkeeper(tmp_path)
    assert found.reload()
    return found


@pytest.mark.parametrize("file", ["passwords", "acl"])
@pytest.mark.parametrize("text", ["", "\n", "# nobody\n", "user\n"])
async def test_files_that_name_nobody_shut_nobody_out(
    doorkeeper: Doorkeeper, tmp_path: Path, file: str, text: str
) -> None:
    """An editor empties a file before it writes it."""
    before = await doorkeeper.admitted("QT-GW-205", b"secret")
    assert before is not None
    (tmp_path / file).write_text(text)
    assert not doorkeeper.reload()
    assert doorkeeper.still(before)
    assert await doorkeeper.admitted("QT-GW-205", b"secret") == before
    (tmp_path / file).write_text({"passwords": PASSWORDS, "acl": ACL}[file])
    assert doorkeeper.reload()


async def test_who_is_gone_from_the_files_is_shut_out(doorkeeper: Doorkeeper, tmp_path: Path) -> None:
    before = await doorkeeper.admitted("QT-GW-205", b"secret")
    assert before is not None
    (tmp_path / "acl").write_text(ACL.replace("205", "206"))
    (tmp_path / "passwords").write_text(PASSWORDS.replace("205", "206"))
    assert doorkeeper.reload()
    assert not doorkeeper.still(before)
    assert await doorkeeper.admitted("QT-GW-205", b"secret") is None
